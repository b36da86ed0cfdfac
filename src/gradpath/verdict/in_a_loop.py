"""What went wrong in a training loop of one's own, read from what the probe saw of it; a cause is found, not guessed."""

from collections.abc import Mapping, Sequence
from math import inf, isfinite, isinf, isnan

import numpy as np

from gradpath.flow.loop import Loop
from gradpath.flow.record import Record
from gradpath.verdict.divergence import Divergence
from gradpath.verdict.findings import Finding
from gradpath.verdict.gradient_class import Reading
from gradpath.verdict.in_training import LARGE_UPDATE, Course
from gradpath.verdict.remedies import NONE_KNOWN, Remedy, learning_rate

# Inputs of this root mean square make everything that follows as large. Normalised ones have 1, pixels as bytes 100 or so.
LARGE_INPUTS = 1e4
# A loss or a weight that has grown by this factor is on its way to infinity.
GREW = 10.0
BLOCKS = 16
# From this many losses on their typical difference from one to the next tells how noisy they are: a rise is one that is
# so many times as large.
FEW, NOISE = 8, 4.0
FINITE_DATA = Remedy("", "data without NaN or Inf")
NORMALISED = Remedy("", "inputs that are normalised to mean 0 and variance 1")
FINITE_TARGETS = Remedy("", "targets without NaN or Inf, and a loss that is finite for every output")
SMOOTH_LOSS = Remedy("", "a loss whose derivative is finite for every output: no square root, norm or logarithm of 0")


def why_not_finite(record: Record, loop: Loop, first: Divergence) -> Finding:
    """The finding on a record in which something was not finite, with the cause if it was seen.

    It was seen that the inputs were not finite, or the loss while the outputs were, or the loss's derivative while the loss
    was; or that weights, updates or the loss had grown before. Else the cause is unknown.
    """
    where = f"the first NaN or Inf came at {first}"
    glimpse = next((one for one in loop.glimpses() if one.step == first.step), None)
    if first.quantity != "weight" and glimpse is not None:
        if isinf(glimpse.inputs):
            message = f"the inputs of {loop.entrance} were not finite at step {first.step}, while all weights were"
            return Finding("divergence", "data", loop.entrance, message, FINITE_DATA)
        if isfinite(glimpse.outputs) and isinf(glimpse.loss):
            message = f"the loss was not finite at step {first.step}, while the network's outputs were: look at the targets"
            return Finding("divergence", "targets or loss", None, message, FINITE_TARGETS)
        if isfinite(glimpse.outputs) and isfinite(glimpse.loss) and first.quantity == "delta":
            message = f"the derivative of the loss was not finite at step {first.step}, while the loss was"
            return Finding("divergence", "targets or loss", first.layer, message, SMOOTH_LOSS)
    large = _large_inputs(loop)
    if large is not None:
        message = f"{where}; the inputs of {loop.entrance} have a root mean square of {large:.2g}"
        return Finding("divergence", "data", loop.entrance, message, NORMALISED)
    if _had_grown(record, loop, first.step):
        return Finding("divergence", "learning rate", first.layer, where, _smaller(loop))
    return Finding("divergence", "unknown", first.layer, f"{where}; why was not found", NONE_KNOWN)


def course_of(
    record: Record, loop: Loop, layers: Sequence[str], sizes: Mapping[str, int], readings: tuple[Reading, Reading | None]
) -> Course:
    """How the training went.

    Args:
        layers: the columns that are layers and that a gradient reached, the output layer last. sizes: entries of each
            layer's weights.
    """
    columns = [record.layers.index(name) for name in layers]
    content = {name: record.matrix(name)[:, columns] for name in record.quantities}
    content |= {"layer": np.array(layers), "step": np.array(record.steps)}
    # Several optimisers have losses of their own, which rise and fall against each other.
    losses = [] if loop.several else _smooth(_comparable(loop))
    dead = content.get("dead")
    seen = () if dead is None else list(dead.T[:-1])
    before, after = ([_end(column, index) for column in seen] for index in (0, -1))
    start, end = readings
    return Course(
        diverged=None,
        losses=losses,
        steps=record.steps[-1] + 1 if record.steps else 0,
        lr=loop.rate or 0.0,
        eps=loop.eps,
        sizes=[sizes[name] for name in layers],
        record=content,
        layers=layers[:-1],
        dead=(before, after),
        readings=(start.kind, end.kind if end else None),
        noise=_noise(losses),
    )


def _comparable(loop: Loop) -> list[float]:
    """The losses of the steps, whether they are means over samples or sums: of batches of several sizes nobody knows.

    Then it is that of both series which rises less.
    """
    seen = [one for one in loop.glimpses() if isfinite(one.loss)]
    losses, sizes = [one.loss for one in seen], [loop.samples.get(one.step, 1) for one in seen]
    if not seen or max(sizes) <= 1.2 * min(sizes):
        return losses
    each = [loss / size for loss, size in zip(losses, sizes, strict=True)]
    return min(losses, each, key=lambda series: series[-1] / series[0] if series[0] > 0 else inf)


def _smooth(losses: Sequence[float]) -> list[float]:
    """The means of BLOCKS stretches: losses of single batches differ more than they fall. A few losses stay as they are."""
    if len(losses) < 4 * BLOCKS:
        return [*losses]
    return [float(part.mean()) for part in np.array_split(np.array(losses), BLOCKS)]


def _noise(losses: Sequence[float]) -> float:
    """How much losses of single batches may rise by chance. A rise by GREW is none, however noisy they are.

    Of losses that are nothing but noise (lognormal, spread 0.15 to 0.6) fewer than 2 in 100 series rise by more.
    """
    if not losses:
        return 0.0
    most = (GREW - 1) * abs(losses[0])
    return min(NOISE * float(np.median(np.abs(np.diff(losses)))), most) if len(losses) >= FEW else most


def _end(column: "np.ndarray[tuple[int], np.dtype[np.float64]]", index: int) -> float:
    """The first or the last value that was measured; 0 if none was."""
    known = column[~np.isnan(column)]
    return float(known[index]) if len(known) else 0.0


def _large_inputs(loop: Loop) -> float | None:
    return next((one.inputs for one in loop.glimpses() if LARGE_INPUTS < one.inputs < np.inf), None)


def _had_grown(record: Record, loop: Loop, step: int) -> bool:
    """Whether updates were large, or the loss or the weights had grown, in the steps before `step`."""
    rows = [index for index, measured in enumerate(record.steps) if measured < step]
    if not rows:
        return False
    updates, weights = (record.matrix(name)[rows] for name in ("update_ratio", "weight_norm"))
    losses = [abs(one.loss) for one in loop.glimpses() if one.step < step and not isnan(one.loss)]
    with np.errstate(invalid="ignore", divide="ignore"):
        return bool(
            (updates > LARGE_UPDATE).any()
            or (weights[-1] > GREW * weights[0]).any()
            or (len(losses) > 1 and losses[-1] > GREW * losses[0])
        )


def _smaller(loop: Loop) -> Remedy:
    if not loop.rate:
        return Remedy("optimizer.lr=...", "a smaller learning rate")
    return learning_rate(float(f"{min(loop.rate / 10, 1e-3 if loop.eps is not None else 1e-2):.1g}"))
