"""Which learning rate? (C13) Loss curves at several rates, each labelled by what its curve did."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, isfinite, log
from statistics import fmean

import numpy as np
import numpy.typing as npt

from gradpath.errors import ConfigError, RunFailed
from gradpath.studies import trainings
from gradpath.studies.chapter.study import Conclusion, Study, Table, seeded
from gradpath.studies.papers.networks import built
from gradpath.studies.pictures.loss_curves import Line, loss_curves, smoothed
from gradpath.studies.pictures.style import COLOURS

Curve = npt.NDArray[np.float64]
RATES = (0.1, 0.01, 0.001, 0.0001)
# A loss that rises above ROSE times its start is out of control; one that ends above UNLEARNT times it learnt nothing.
ROSE, UNLEARNT = 2.0, 0.5
# A rate is good if its loss ends within AS_GOOD times the lowest end, or below LEARNT times its start.
AS_GOOD, LEARNT = 1.5, 0.02

HEADER = ("rate", "label", "start", "peak / start", "swing", "end", "val accuracy")
LABELS = (
    f"Diverged: NaN or Inf, or a loss that rose above {ROSE:g} times its start and ends above {UNLEARNT:g} of it. Best: the "
    f"lowest end (median of the last quarter). Good: an end within {AS_GOOD:g} times that, or below {LEARNT:g} of the "
    f"start. Oscillating: of the rest, those that rose above {ROSE:g} times their start or, smoothed, {ROSE:g} times what "
    "they had been (swing). Too slow: those that did not."
)


@dataclass(frozen=True)
class Course:
    """The loss curves of one rate in five numbers: `start` is a mean over seeds, `peak`, `swing` and `end` geometric means.

    start: the loss before the first step.
    peak: the highest loss divided by the first. inf if a seed met NaN or Inf.
    swing: the largest ratio of the smoothed loss to its lowest value so far. inf if a seed met NaN or Inf.
    end: the median loss of the last quarter. inf if a seed met NaN or Inf.
    died: the first step at which a seed met NaN or Inf; None if none did.
    """

    start: float
    peak: float
    swing: float
    end: float
    died: int | None

    @property
    def rose(self) -> bool:
        return max(self.peak, self.swing) > ROSE


def course(curves: Sequence[Curve], steps: int) -> Course:
    """Summarises the loss curves of one rate.

    Args:
        curves: one per seed, (steps,): the loss before each step, finite. A curve that NaN or Inf ended is shorter.
    """
    deaths = [len(curve) for curve in curves if len(curve) < steps]
    start = fmean(float(curve[0]) for curve in curves)
    if deaths:
        return Course(start, float("inf"), float("inf"), float("inf"), min(deaths))
    tiny = 1e-12
    swings = []
    for curve in curves:
        values = np.maximum(smoothed(curve)[1], tiny)
        swings.append(log(float((values / np.minimum.accumulate(values)).max())))
    peaks = [log(max(float(curve.max()), tiny) / max(float(curve[0]), tiny)) for curve in curves]
    ends = [log(max(float(np.median(curve[-max(1, len(curve) // 4) :])), tiny)) for curve in curves]
    return Course(start, exp(fmean(peaks)), exp(fmean(swings)), exp(fmean(ends)), None)


def labels(courses: Mapping[float, Course]) -> dict[float, str]:
    """Labels each rate by comparison with the others.

    diverged: the loss met NaN or Inf, or rose above twice its start and ended above half of it.
    best: the lowest end of the other rates, if it is at most half of its start.
    good: an end at most half of the start, and either within 1.5 times the lowest end or below a fiftieth of the start.
    oscillating: of the rest, a loss that rose above twice its start or, smoothed, above twice its lowest value so far.
    too slow: of the rest, a loss that did not.
    """
    found = {
        rate: "diverged"
        for rate, one in courses.items()
        if one.died is not None or (one.peak > ROSE and one.end > UNLEARNT * one.start)
    }
    rest = {rate: one for rate, one in courses.items() if rate not in found}
    best = min(rest, key=lambda rate: rest[rate].end, default=None)
    for rate, one in rest.items():
        assert best is not None
        near = one.end <= max(AS_GOOD * rest[best].end, LEARNT * one.start)
        # If no loss falls, the lowest of them is not called best.
        good = near and one.end <= UNLEARNT * one.start
        found[rate] = ("best" if rate == best else "good") if good else "oscillating" if one.rose else "too slow"
    return {rate: found[rate] for rate in courses}


def learning_rate(quick: bool = False, rates: Sequence[float] = RATES, overrides: Sequence[str] = ()) -> Study:
    """Trains the configuration that `overrides` describe once for each rate and seed.

    Raises:
        ConfigError: rates that are not 2 to 7 different positive numbers; a wrong override.
    """
    if not 2 <= len(set(rates)) == len(rates) <= len(COLOURS) or not all(rate > 0 and isfinite(rate) for rate in rates):
        raise ConfigError(f"rates={list(rates)}: must be 2 to {len(COLOURS)} different positive numbers, as in [0.1,0.01].")
    seeds = range(1 if quick else 3)
    short = ("data.limit=12800",) if quick and not any(text.startswith("data") for text in overrides) else ()
    epochs = () if any(text.startswith("trainer.max_epochs=") for text in overrides) else ("trainer.max_epochs=1",)
    cells = {
        f"{rate:g}_{seed}": (*trainings.CURVES, *epochs, *short, *overrides, f"optimizer.lr={rate:g}", f"seed={seed}")
        for rate in rates
        for seed in seeds
    }
    # Building one run reports a wrong override before anything is written or trained. The runs differ in rate and seed only.
    built(0, *next(iter(cells.values())))
    place = _folder(quick, overrides)
    results = trainings.train_all(place, cells)
    curves = {rate: [trainings.losses(trainings.STUDIES / place / f"{rate:g}_{seed}") for seed in seeds] for rate in rates}
    if not all(len(curve) for many in curves.values() for curve in many):
        raise RunFailed(f"the loss is not finite before the first step, whatever the learning rate: {' '.join(overrides)}")
    # The length of the longest curve, plus 1 if that one ended in NaN too: then no run shows how many steps there were.
    dead = {name for name, result in results.items() if result["status"] == "diverged"}
    steps = max(len(curves[rate][seed]) + (f"{rate:g}_{seed}" in dead) for rate in rates for seed in seeds)
    courses = {rate: course(many, steps) for rate, many in curves.items()}
    found = labels(courses)
    ordered = sorted(rates, reverse=True)
    accuracies = {
        rate: [r["metrics"].get("val/accuracy", float("nan")) for n, r in results.items() if n.startswith(f"{rate:g}_")]
        for rate in rates
    }
    rows = [_row(rate, courses[rate], found[rate], accuracies[rate]) for rate in ordered]
    # A regression has no accuracy, so its column is left out.
    shown = None if any(row[-1] for row in rows) else -1
    lines = [Line(f"{rate:g}: {found[rate]}", curves[rate]) for rate in ordered]
    return Study(
        setting=f"{seeded(len(seeds))} of each rate, {steps} steps, "
        f"{' '.join(overrides) or 'the default network and Adam'}, the learning rate constant. {LABELS}",
        table=Table(HEADER[:shown], [row[:shown] for row in rows]),
        conclusions=_conclusions(ordered, curves, steps, found),
        figures={"learning_rate": loss_curves(lines, steps, "Which learning rate?")},
        captions={"learning_rate": "Loss of each rate; faint: one run, strong: smoothed; an x, where NaN ended one."},
    )


def _folder(quick: bool, overrides: Sequence[str]) -> str:
    """The folder of one configuration's runs, inside that of all studies."""
    kept = "".join(c if c.isalnum() or c in "-_." else "-" for c in "_".join(overrides))
    return "learning_rate" + ("_quick" if quick else "") + (f"/{kept}" if kept else "/default")


def _row(rate: float, one: Course, label: str, accuracy: Sequence[float]) -> tuple[str, ...]:
    if one.died is not None:
        return f"{rate:g}", f"{label} at step {one.died}", f"{one.start:.3g}", "", "", "", ""
    shown = fmean(accuracy)
    return (
        f"{rate:g}",
        label,
        f"{one.start:.3g}",
        f"{one.peak:.3g}",
        f"{one.swing:.3g}",
        f"{one.end:.3g}",
        f"{shown:.1%}" if isfinite(shown) else "",
    )


def _conclusions(
    rates: Sequence[float], curves: Mapping[float, Sequence[Curve]], steps: int, found: Mapping[float, str]
) -> list[Conclusion]:
    """Concludes from `rates`, the highest first. The chapter's claim is judged only if its own four rates were run."""
    order = ["diverged", "oscillating", "good", "best", "too slow"]
    ranks = [order.index("good" if found[rate] == "best" else found[rate]) for rate in rates]
    measured = ", ".join(f"{rate:g} {found[rate]}" for rate in rates)
    conclusions = []
    # If all rates have the same label, there is no order to check.
    if len(set(ranks)) > 1:
        said = "the labels are in the order of the rates: diverged above oscillating above good above too slow"
        conclusions.append(Conclusion(said, measured, ranks == sorted(ranks)))
    if sorted(rates) == sorted(RATES):
        ends = found[rates[0]], found[rates[-1]]
        conclusions.append(
            Conclusion(
                "the highest is too high, the lowest too slow, and the best lies between",
                measured,
                ends[0] in ("diverged", "oscillating") and ends[1] == "too slow" and "best" in found.values(),
                supports=measured,
            )
        )
    bests = []
    for seed in range(len(curves[rates[0]])):
        alone = labels({rate: course([many[seed]], steps) for rate, many in curves.items()})
        bests += [f"{rate:g}" for rate, label in alone.items() if label == "best"] or ["none"]
    if len(bests) > 1:
        conclusions.append(
            Conclusion(
                "the same rate is best with every seed", ", ".join(bests), {*bests} != {"none"} and len({*bests}) == 1
            )
        )
    return conclusions
