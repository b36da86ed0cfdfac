"""What went wrong while a network trained: divergence, updates that are too small, a loss that stands still, dead units."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

from gradpath.verdict.divergence import Divergence
from gradpath.verdict.findings import MOST, Finding
from gradpath.verdict.remedies import ONE_HIDDEN_LAYER, Remedy, learning_rate

# A loss stands still if it fell by less than STILL after the first quarter of the run (by then the last bias has found the
# classes' frequencies), and by less than LEARNT in all, because a loss that was learnt stands still too. A run of
# fewer than ENOUGH_STEPS steps tells nothing.
STILL, LEARNT, ENOUGH_STEPS = 0.02, 0.2, 200
# A loss whose last quarter lies this fraction above its first quarter has diverged.
ROSE = 0.2
# A healthy update is near 1e-3 of the weight; outside these limits the learning rate is at fault.
SMALL_UPDATE, LARGE_UPDATE = 1e-5, 1e-1
# Clipping is at fault if it leaves less than this fraction of the gradient.
CLIPPED_AWAY = 1e-2
CLIPPED = ("weight_grad_norm", "weight_grad_norm_clipped")
UNCLIPPED = Remedy("trainer.gradient_clip_val=1.0", "a larger norm in clip_grad_norm_")
# Units died in training if more than this fraction is dead, and at least GREW more than at the start.
DEAD, GREW = 0.5, 0.25


@dataclass(frozen=True)
class Course:
    """How a run went.

    diverged: where NaN or Inf came first, or None. losses: the training loss as logged, first to last. noise: how much they
    may rise by chance.
    steps: optimiser steps done. lr: the learning rate set. eps: the epsilon of an adaptive optimiser like Adam, or None.
    sizes: number of entries of each weight matrix, (L,). record: the arrays of `flow.npz`, or None.
    layers: names of the hidden layers. dead: for each of them the fraction of units that are zero on a whole batch, before
    and after training (after is empty if the run broke down). readings: the reading's kind before and after training.
    """

    diverged: Divergence | None
    losses: Sequence[float]
    steps: int
    lr: float
    eps: float | None
    sizes: Sequence[int]
    record: Mapping[str, npt.NDArray[Any]] | None
    layers: Sequence[str] = ()
    dead: tuple[Sequence[float], Sequence[float]] = ((), ())
    readings: tuple[str | None, str | None] = (None, None)
    noise: float = 0.0


def findings_in_training(course: Course, at_start: Sequence[Finding]) -> list[Finding]:
    """What a run suffered from, at most three findings: the cause that the start showed, what came of it, then the rest."""
    became = [
        _divergence(course, at_start),
        _flat(course, at_start),
        _small_updates(course, at_start),
        _dying(course),
        _strayed(course),
    ]
    found = [*at_start[:1], *became, *at_start[1:]]
    named: dict[str, Finding] = {}
    for finding in found:
        if finding is not None:
            named.setdefault(finding.kind, finding)
    return list(named.values())[:MOST]


def _divergence(course: Course, at_start: Sequence[Finding]) -> Finding | None:
    if course.diverged is None:
        return _rising(course, at_start)
    cause, remedy = _root(at_start) or ("learning rate", _tamed(course))
    return Finding("divergence", cause, course.diverged.layer, f"the first NaN or Inf came at {course.diverged}", remedy)


def _rising(course: Course, at_start: Sequence[Finding]) -> Finding | None:
    """Divergence without NaN: the loss ends above where it began."""
    quarter = len(course.losses) // 4
    if not quarter:
        return None
    first, last = median(course.losses[:quarter]), median(course.losses[-quarter:])
    if last - first <= max(ROSE * abs(first), course.noise):
        return None
    # A loss that is negative (a policy's, a log-likelihood) has no floor at 0, and a rise towards it may be what is learnt.
    size = max(map(abs, course.losses[: 2 * quarter]))
    if min(course.losses) < 0 and last <= (1 + ROSE) * size and not _is_moved_far(course):
        return None
    cause, remedy = _root(at_start) or ("learning rate", _tamed(course))
    return Finding("divergence", cause, None, f"the training loss rose from {first:.4g} to {last:.4g}", remedy)


def _is_moved_far(course: Course) -> bool:
    """Whether typical updates of a layer are too large."""
    if course.record is None or not len(course.record["step"]):
        return False
    update = course.record["update_ratio"]
    known = update[:, ~np.isnan(update).all(axis=0)]
    return bool(known.size and (np.nanmedian(known, axis=0) > LARGE_UPDATE).any())


def _small_updates(course: Course, at_start: Sequence[Finding]) -> Finding | None:
    """Adam's step is lr g / (|g| + eps): once |g| is below eps, the step vanishes with g (Kingma & Ba 2014, alg. 1)."""
    record = course.record
    if course.eps is None or record is None or not len(record["step"]):
        return None
    with np.errstate(invalid="ignore"):
        entries = record["weight_grad_norm"][:, :-1] / np.sqrt(np.array(course.sizes[:-1]))
        typical = np.median(entries, axis=0)
    below = [index for index, value in enumerate(typical) if value < course.eps]
    cause = _root(at_start)
    if not below or cause is None:
        return None
    layer = str(record["layer"][below[0]])
    message = f"a weight's gradient ({typical[below[0]]:.1g}) is below the optimiser's eps ({course.eps:g}): it hardly moves"
    return Finding("small_updates", *cause[:1], layer, message, cause[1])


def _flat(course: Course, at_start: Sequence[Finding]) -> Finding | None:
    losses = course.losses
    if course.diverged or course.steps < ENOUGH_STEPS or len(losses) < 4:
        return None
    first, early, last = losses[0], losses[len(losses) // 4], min(losses[-len(losses) // 4 :])
    if not first > 0 or last < (1 - STILL) * early or last < (1 - LEARNT) * first:
        return None
    root = _root(at_start) or _why_flat(course)
    if root is None:
        return None
    return Finding("flat_loss", root[0], None, f"the training loss stands still, {first:.4g} to {last:.4g}", root[1])


def _why_flat(course: Course) -> tuple[str, Remedy] | None:
    if len(course.sizes) == 1:
        return "depth", ONE_HIDDEN_LAYER
    record = course.record
    if record is None or not len(record["step"]):
        return None
    if _is_clipped_away(record):
        return "clipping", UNCLIPPED
    with np.errstate(invalid="ignore"):
        update = float(np.nanmedian(record["update_ratio"]))
    if update < SMALL_UPDATE:
        return "learning rate", learning_rate(float(f"{min(course.lr * 1e-3 / max(update, 1e-9), 0.1):.1g}"))
    if update > LARGE_UPDATE:
        return "learning rate", _tamed(course)
    return None


def _is_clipped_away(record: Mapping[str, npt.NDArray[Any]]) -> bool:
    """Whether clipping took nearly all of the gradient in most steps."""
    if "weight_grad_norm_clipped" not in record:
        return False
    with np.errstate(invalid="ignore"):
        before, after = (np.sqrt(np.nansum(record[name] ** 2, axis=1)) for name in CLIPPED)
    return bool(np.median(after[before > 0] / before[before > 0]) < CLIPPED_AWAY) if (before > 0).any() else False


def _dying(course: Course) -> Finding | None:
    grown = [(after, before, layer) for layer, before, after in zip(course.layers, *course.dead, strict=False)]
    after, before, layer = max((row for row in grown if row[0] - row[1] >= GREW), default=(0.0, 0.0, ""))
    if after <= DEAD:
        return None
    message = f"{after:.0%} of the units are zero for every sample; at the start it was {before:.0%}"
    return Finding("dead_units", "learning rate", layer, message, _tamed(course))


def _strayed(course: Course) -> Finding | None:
    """A gradient that was healthy at the start, and that training itself spoilt before anything was learnt."""
    before, after = course.readings
    # One loss does not tell whether anything was learnt.
    if before != "healthy" or after not in ("vanishing", "exploding") or len(course.losses) < 2:
        return None
    if min(course.losses[-len(course.losses) // 4 :]) < (1 - LEARNT) * course.losses[0]:
        return None
    message = f"the gradient was healthy at the start, and is {after} now: the steps are too large"
    return Finding(after, "learning rate", None, message, _tamed(course))


def _root(at_start: Sequence[Finding]) -> tuple[str, Remedy] | None:
    """The cause and the remedy that the start already showed, or None."""
    return (at_start[0].cause, at_start[0].remedy) if at_start else None


def _tamed(course: Course) -> Remedy:
    """A safe learning rate: a tenth of the present one, but at most the usual one (1e-3 for Adam and its kin, else 1e-2)."""
    return learning_rate(float(f"{min(course.lr / 10, 1e-3 if course.eps is not None else 1e-2):.1g}"))
