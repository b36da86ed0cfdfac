"""Which learning rate? (C13) Loss curves of several, each labelled by what its curve did."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, isfinite, log
from statistics import fmean

import numpy as np
import numpy.typing as npt

from gradpath.errors import ConfigError
from gradpath.report.loss_curves import Line, loss_curves
from gradpath.studies import runs
from gradpath.studies.chapter.study import Conclusion, Study, Table, seeded

Curve = npt.NDArray[np.float64]
RATES = (0.1, 0.01, 0.001, 0.0001)
# A loss that rises above so many times its start is out of control; one that ends above this share of it learnt nothing.
ROSE, UNLEARNT = 2.0, 0.5
# Within this factor of the lowest end a rate is as good; below this share of its start the problem is learnt at any rate.
AS_GOOD, LEARNT = 1.5, 0.02


@dataclass(frozen=True)
class Course:
    """What the curves of one rate have in common, over its seeds.

    start: mean loss before the first step. peak: the highest, as a multiple of the start, on (geometric) average. end: the
    median of the last quarter, likewise; inf where NaN or Inf was met. died: the step at which it was, None where never.
    """

    start: float
    peak: float
    end: float
    died: int | None

    @property
    def rose(self) -> bool:
        return self.peak > ROSE


def course(curves: Sequence[Curve], steps: int) -> Course:
    """Args: curves: the loss before each step, a curve per seed; shorter than `steps` where NaN or Inf ended it."""
    deaths = [len(curve) for curve in curves if len(curve) < steps or not np.isfinite(curve).all()]
    start = fmean(float(curve[0]) for curve in curves)
    if deaths:
        return Course(start, float("inf"), float("inf"), min(deaths))
    tiny = 1e-12
    peaks = [log(max(float(curve.max()), tiny) / max(float(curve[0]), tiny)) for curve in curves]
    ends = [log(max(float(np.median(curve[-max(1, len(curve) // 4) :])), tiny)) for curve in curves]
    return Course(start, exp(fmean(peaks)), exp(fmean(ends)), None)


def labels(courses: Mapping[float, Course]) -> dict[float, str]:
    """diverged, oscillating, too slow, good or best, of each rate beside the others.

    diverged: NaN or Inf, or a loss that rose above twice its start and ended above half of it. best: the lowest end of the
    others. good: an end within 1.5 times the best's, or below a fiftieth of the start. Of the rest, oscillating: those that
    rose above twice their start; too slow: those that never did.
    """
    found = {rate: "diverged" for rate, one in courses.items() if one.died or (one.rose and one.end > UNLEARNT * one.start)}
    rest = {rate: one for rate, one in courses.items() if rate not in found}
    best = min(rest, key=lambda rate: rest[rate].end, default=None)
    for rate, one in rest.items():
        assert best is not None
        near = one.end <= max(AS_GOOD * rest[best].end, LEARNT * one.start)
        # The lowest of losses that all stand still is no best.
        good = near and one.end <= UNLEARNT * one.start
        found[rate] = ("best" if rate == best else "good") if good else "oscillating" if one.rose else "too slow"
    return {rate: found[rate] for rate in courses}


def learning_rate(quick: bool = False, rates: Sequence[float] = RATES, overrides: Sequence[str] = ()) -> Study:
    """Trains the configuration of `overrides` once for each rate and seed.

    Raises:
        ConfigError: rates that are not positive numbers, or fewer than two of them; a wrong override.
    """
    if len(set(rates)) < 2 or not all(rate > 0 and isfinite(rate) for rate in rates):
        raise ConfigError(f"rates={list(rates)}: must be two positive numbers at least, as in [0.1,0.01].")
    seeds = range(1 if quick else 3)
    short = ("data.limit=12800",) if quick and not any(text.startswith("data") for text in overrides) else ()
    epochs = () if any(text.startswith("trainer.max_epochs=") for text in overrides) else ("trainer.max_epochs=1",)
    cells = {
        f"{rate:g}_{seed}": (*runs.CURVES, *epochs, *short, *overrides, f"optimizer.lr={rate:g}", f"seed={seed}")
        for rate in rates
        for seed in seeds
    }
    place = _folder(quick, overrides)
    results = runs.train_all(place, cells)
    curves = {rate: [runs.losses(runs.STUDIES / place / f"{rate:g}_{seed}") for seed in seeds] for rate in rates}
    steps = max(len(curve) for many in curves.values() for curve in many)
    courses = {rate: course(many, steps) for rate, many in curves.items()}
    found = labels(courses)
    ordered = sorted(rates, reverse=True)
    accuracies = {
        rate: [r["metrics"].get("val/accuracy", float("nan")) for n, r in results.items() if n.startswith(f"{rate:g}_")]
        for rate in rates
    }
    rows = [_row(rate, courses[rate], found[rate], accuracies[rate]) for rate in ordered]
    lines = [Line(f"{rate:g}: {found[rate]}", curves[rate]) for rate in ordered]
    return Study(
        setting=f"{seeded(len(seeds))} of each rate, {steps} steps, "
        f"{' '.join(overrides) or 'the default network and Adam'}, the learning rate constant.",
        table=Table(("rate", "label", "start", "peak / start", "end", "val accuracy"), rows),
        conclusions=_conclusions(ordered, courses, found),
        figures={"learning_rate": loss_curves(lines, steps, "Which learning rate?")},
        captions={"learning_rate": "Loss of each rate; faint: one run as it was, strong: smoothed; x: NaN or Inf ended it."},
    )


def _folder(quick: bool, overrides: Sequence[str]) -> str:
    """A place of its own for each configuration."""
    kept = "".join(c if c.isalnum() or c in "-_." else "-" for c in "_".join(overrides))
    return "learning_rate" + ("_quick" if quick else "") + (f"/{kept}" if kept else "/default")


def _row(rate: float, one: Course, label: str, accuracy: Sequence[float]) -> tuple[str, ...]:
    if one.died:
        return f"{rate:g}", f"{label} at step {one.died}", f"{one.start:.3g}", "", "", ""
    shown = fmean(accuracy)
    return (
        f"{rate:g}",
        label,
        f"{one.start:.3g}",
        f"{one.peak:.3g}",
        f"{one.end:.3g}",
        f"{shown:.1%}" if isfinite(shown) else "",
    )


def _conclusions(rates: Sequence[float], courses: Mapping[float, Course], found: Mapping[float, str]) -> list[Conclusion]:
    """Too high a rate fails, too low a rate is slow, and what is best lies between: of whatever rates were tried."""
    order = ["diverged", "oscillating", "good", "best", "too slow"]
    ranks = [order.index("good" if found[rate] == "best" else found[rate]) for rate in rates]
    measured = ", ".join(f"{rate:g} {found[rate]}" for rate in rates)
    best = [rate for rate in rates if found[rate] == "best"]
    return [
        Conclusion(
            "from the highest rate to the lowest: diverged, oscillating, good, slow", measured, ranks == sorted(ranks)
        ),
        Conclusion(
            "one of the rates is best",
            f"{best[0]:g}, which ends at a loss of {courses[best[0]].end:.3g}" if best else "none learns",
            len(best) == 1,
        ),
    ]
