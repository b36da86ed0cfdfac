"""The quantities of a record: their names, and how they are computed from the raw numbers that a step collects."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gradpath.flow.norms import Scalar, gather
from gradpath.flow.record import Matrix, Record

GRADIENTS = ["delta", "delta_second_moment", "delta_rms"]
WEIGHTS = ["weight_grad_norm", "bias_grad_norm", "weight_norm", "weight_grad_ratio", "update_ratio"]
ACTIVATIONS = ["activation_mean", "activation_variance", "saturated", "dead"]

# The raw numbers that a measured step collects for every layer. Every measured step collects FAST and CLIPPED; SLOW and SEEN
# come only from steps on which weights and activations are read as well.
# FAST: squares of the gradients at h, samples, entries of h, squares of dW and of db. CLIPPED: squares of the clipped dW.
FAST = ["delta", "samples", "entries", "grad", "bias"]
CLIPPED = ["clipped"]
# SLOW: squares of W and of its change. SEEN: sums over activations, taken about phi(0).
SLOW = ["weight", "changed"]
SEEN = ["total", "squares", "outputs", "saturated"]
# Sums over samples; processes that share a batch add them up.
SHARED = frozenset(["delta", "samples", "entries", *SEEN])


@dataclass(slots=True)
class Step:
    """The raw numbers of one step.

    number: the step's number. passes: backward passes that the loss is divided by. scale: 1 / the gradient scaler's scale.
    uses: how often a pass uses each layer, (L,).
    scalars: L numbers, one per layer, for each of `Ledger.names` in turn; a step without SLOW numbers has the first only.
    """

    number: int
    passes: int
    scale: float
    uses: list[float]
    scalars: Sequence[Scalar]


class Ledger:
    """Keeps the raw numbers of measured steps and computes quantities for many steps at once.

    A step therefore waits neither for arithmetic nor for a device.

    Args:
        asked: quantities beside gradients and weights: "clipped", "activations", "correlation", "rank".
    """

    # At most this many steps wait; on a device each of their numbers is a small tensor.
    MOST = 64

    def __init__(self, asked: Sequence[str]) -> None:
        activations = "activations" in asked
        extras = [name for name in ("correlation", "rank") if name in asked]
        self.fast = FAST + CLIPPED * ("clipped" in asked)
        self.names = [*self.fast, *SLOW, *([*SEEN, "dead"] if activations else []), *extras]
        clipped = ["weight_grad_norm_clipped"] * ("clipped" in asked)
        self.quantities = [*GRADIENTS, *WEIGHTS, *clipped, *(ACTIVATIONS if activations else []), *extras]
        self.steps: list[Step] = []

    def settle(self, record: Record, order: Sequence[int], centres: Sequence[float]) -> None:
        """Adds a row per step to `record` and forgets the steps.

        Args:
            order: for each column of `record`, the position of its layer in `Step.scalars`.
            centres: phi(0) of each layer's activation, (L,), in the order of `Step.scalars`.
        """
        if not self.steps:
            return
        steps, layers = self.steps, len(centres)
        self.steps = []
        gathered = gather([scalar for step in steps for scalar in step.scalars])
        table = np.full((len(steps), len(self.names) * layers), np.nan)
        begin = 0
        for row, step in zip(table, steps, strict=True):
            row[: len(step.scalars)] = gathered[begin : begin + len(step.scalars)]
            begin += len(step.scalars)
        read = dict(zip(self.names, table.reshape(len(steps), -1, layers).swapaxes(0, 1), strict=True))

        def column(of: Callable[[Step], float]) -> Matrix:
            return np.array([of(step) for step in steps])[:, None]

        rows = _reckon(
            read,
            passes=column(lambda step: step.passes),
            scale=column(lambda step: step.scale),
            uses=np.array([step.uses for step in steps]),
            centres=np.array(centres),
        )
        block = np.stack([rows[name] for name in self.quantities], axis=1)[:, :, order]
        for step, row in zip(steps, block, strict=True):
            record.add(step.number, row)


def _reckon(read: dict[str, Matrix], passes: Matrix, scale: Matrix, uses: Matrix, centres: Matrix) -> dict[str, Matrix]:
    """Every quantity of S steps, (S, L) each.

    Args:
        read: a matrix (S, L) for each of `Ledger.names`. passes, scale: (S, 1). uses: (S, L). centres: (L,).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        delta2 = read["delta"] * (passes * scale) ** 2
        # A layer used several times counts as one layer that has the units of all its uses.
        moment = delta2 * uses / read["samples"]
        norm, weight = np.sqrt(read["grad"]) * scale, read["weight"]
        # A ratio to weights of zero is NaN, not infinite.
        nonzero = np.where(weight > 0, weight, np.nan)
        rows = {
            "delta": np.sqrt(moment),
            "delta_second_moment": moment,
            "delta_rms": np.sqrt(delta2 / read["entries"]),
            "weight_grad_norm": norm,
            "bias_grad_norm": np.sqrt(read["bias"]) * scale,
            "weight_norm": np.sqrt(weight),
            "weight_grad_ratio": norm / np.sqrt(nonzero),
            "update_ratio": np.sqrt(read["changed"] / nonzero),
        }
        rows |= {name: read[name] for name in ("dead", "correlation", "rank") if name in read}
        if "clipped" in read:
            rows["weight_grad_norm_clipped"] = np.sqrt(read["clipped"])
        if "total" in read:
            mean, infinite = read["total"] / read["outputs"], np.isinf(read["squares"])
            variance = np.maximum(read["squares"] / read["outputs"] - mean**2, 0)
            rows["activation_mean"] = np.where(infinite, np.inf, mean + centres)
            rows["activation_variance"] = np.where(infinite, np.inf, variance)
            rows["saturated"] = read["saturated"] / read["outputs"]
    return rows
