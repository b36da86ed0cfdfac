"""The quantities of a record: their names, and how they follow from the sums that a step collects."""

from collections.abc import Mapping

import numpy as np

from gradpath.flow.record import Matrix

GRADIENTS = ["delta", "delta_second_moment", "delta_rms"]
WEIGHTS = ["weight_grad_norm", "bias_grad_norm", "weight_norm", "weight_grad_ratio", "update_ratio"]
ACTIVATIONS = ["activation_mean", "activation_variance", "saturated", "dead"]


def reckon(
    read: Mapping[str, Matrix], passes: Matrix | int, scale: Matrix, uses: Matrix, centres: Matrix
) -> dict[str, Matrix]:
    """Every quantity, (S, L) each, of S steps.

    Args:
        read: (S, L) each: the sums of `watch.SUMS`; `grad`, `bias`, `weight`, `changed`, the squares of |dW|, |db|, |W| and
            of W's change; and what is kept as it is.
        passes: backward passes that a step's loss is divided by, (S, 1) or one number.
        scale: 1 / the gradient scaler's, (S, 1).
        uses: of each layer in a pass, (S, L). centres: phi(0) of each layer's activation, (L,).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        delta2 = read["delta"] * (passes * scale) ** 2
        moment = delta2 * uses / read["samples"]
        mean = read["total"] / read["outputs"]
        infinite = np.isinf(read["squares"])
        norm, weight = np.sqrt(read["grad"]) * scale, read["weight"]
        # There is no ratio to weights of zero.
        nonzero = np.where(weight > 0, weight, np.nan)
        rows = {
            **read,
            "delta": np.sqrt(moment),
            "delta_second_moment": moment,
            "delta_rms": np.sqrt(delta2 / read["entries"]),
            "weight_grad_norm": norm,
            "bias_grad_norm": np.sqrt(read["bias"]) * scale,
            "weight_norm": np.sqrt(weight),
            "weight_grad_ratio": norm / np.sqrt(nonzero),
            "update_ratio": np.sqrt(read["changed"] / nonzero),
            "activation_mean": np.where(infinite, np.inf, mean + centres),
            "activation_variance": np.where(infinite, np.inf, np.maximum(read["squares"] / read["outputs"] - mean**2, 0)),
            "saturated": read["saturated"] / read["outputs"],
        }
        if "weight_grad_norm_clipped" in read:
            rows["weight_grad_norm_clipped"] = np.sqrt(read["weight_grad_norm_clipped"])
    return rows
