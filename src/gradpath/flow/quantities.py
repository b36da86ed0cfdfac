"""The quantities of a record: their names, and how they are computed from the raw numbers that a step collects.

Each is (L,) per measured step:
    delta: root mean square over samples of |dLoss_i/dh|, where h is the layer's output before its activation and Loss_i
        the sample's own loss. delta_second_moment is its square, the quantity of theory (Schoenholz et al. 2016).
        delta_rms is the root mean square per entry of h.
    weight_grad_norm, bias_grad_norm: |dW|, |db| of the step's loss, before clipping; of all the layer's weights.
        weight_grad_norm_clipped is |dW| after clipping.
    weight_norm: |W| before the step. weight_grad_ratio: |dW| / |W|.
    update_ratio: |W_after - W_before| / |W_before|, what the optimiser really did.
    activation_mean, activation_variance: mean and variance over samples and units.
    saturated: fraction of activations within 3 % of half the range of a bound (|tanh| > 0.97); NaN without bounds.
    dead: fraction of units (channels, features) that were zero on every one of the last 1024 samples measured.
    correlation: cosine between the outputs of two fixed inputs. rank: rank of W.
A value is NaN if nothing was measured (no gradient, no activation behind the layer, weights of zero), and inf if it was
not finite.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from gradpath.flow.norms import Scalar, gather
from gradpath.flow.record import Matrix, Record

GRADIENTS = ["delta", "delta_second_moment", "delta_rms"]
WEIGHTS = ["weight_grad_norm", "bias_grad_norm", "weight_norm", "weight_grad_ratio", "update_ratio"]
ACTIVATIONS = ["activation_mean", "activation_variance", "saturated", "dead"]

# The raw numbers that a measured step collects for every layer. Every measured step collects FAST and CLIPPED; SLOW and SEEN
# come only from steps on which weights and activations are read as well.
# FAST: squares of the gradients at h (times those of the samples and of the batches), samples, entries of h, squares of dW
# and of db. CLIPPED: squares of the clipped dW.
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

    number: the step's number. scale: 1 / the gradient scaler's scale. columns: the record's columns that it has numbers for.
    scalars: a number per column for each of `Ledger.names` in turn; a step without SLOW numbers has the first only.
    centres: phi(0) of the activation behind each column.
    """

    number: int
    scale: float
    columns: Sequence[int]
    scalars: Sequence[Scalar]
    centres: Sequence[float]


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

    def settle(self, record: Record) -> None:
        """Adds a row per step to `record` and forgets the steps."""
        steps, self.steps = self.steps, []
        gathered = gather([scalar for step in steps for scalar in step.scalars])
        ends = np.cumsum([len(step.scalars) for step in steps])[:-1]
        parts = zip(steps, np.split(gathered, ends), strict=True) if steps else ()
        # Steps of the same columns are computed together.
        for _, group in groupby(parts, key=lambda part: tuple(part[0].columns)):
            self._add([*group], record)

    def _add(self, group: Sequence[tuple[Step, Matrix]], record: Record) -> None:
        steps = [step for step, _ in group]
        columns = list(steps[0].columns)
        table = np.full((len(group), len(self.names) * len(columns)), np.nan)
        for row, (_, numbers) in zip(table, group, strict=True):
            row[: len(numbers)] = numbers
        read = dict(zip(self.names, table.reshape(len(group), -1, len(columns)).swapaxes(0, 1), strict=True))
        rows = reckon(
            read,
            scale=np.array([step.scale for step in steps])[:, None],
            centres=np.array([step.centres for step in steps]),
        )
        block = np.full((len(group), len(self.quantities), len(record.layers)), np.nan)
        block[:, :, columns] = np.stack([rows[name] for name in self.quantities], axis=1)
        for step, row in zip(steps, block, strict=True):
            record.add(step.number, row)


def reckon(read: dict[str, Matrix], scale: Matrix, centres: Matrix) -> dict[str, Matrix]:
    """Every quantity of S steps, (S, L) each.

    Args:
        read: a matrix (S, L) for each of `Ledger.names`. scale: (S, 1). centres: (S, L).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        delta2 = read["delta"] * scale**2
        moment = delta2 / read["samples"]
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
