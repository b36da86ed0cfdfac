"""Which batch size? (C15) Test accuracy, the gap between training and test accuracy, and the gradient's noise."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from gradpath.data.memory import MemoryDataModule
from gradpath.model.network import MLP
from gradpath.model.objective import Objective
from gradpath.run.evaluate import restored
from gradpath.studies.chapter.gradient_noise import epochs, expected, measured
from gradpath.studies.chapter.study import Conclusion, Study, Table, difference, jointly, percent
from gradpath.studies.chapter.tuning import MORE, Tuned, how, tuned
from gradpath.studies.papers.networks import built
from gradpath.studies.pictures.style import COLOURS, TICK, dress, new_figure

NETWORK = ("model=two_layer", "optimizer=adam", "schedule=constant", "probe=none", "trainer=cpu")
SIZES = (8, 32, 128, 256, 1024, 4096)
# The range that the chapter recommends, and the size in it with which others are compared.
USUAL, MIDDLE = ("32", "128", "256"), "128"
# A large size that is also trained for as many steps as MIDDLE.
LONGER = "1024"
RATES = (0.0003, 0.001, 0.003, 0.01)
# The noise is averaged over at least this many batches.
DRAWS = 32
Run = tuple[MemoryDataModule, MLP, Objective, Any]


@dataclass(frozen=True)
class Noise:
    """Noise E |g_B - g|^2 / |g|^2 of a network's gradient, one number for each batch size in SIZES.

    measured: the mean over drawn batches.
    expected: computed from the gradients of single samples.
    """

    measured: list[float]
    expected: list[float]


def batch_size(quick: bool = False) -> Study:
    """Trains every batch size for the same number of epochs, each at the learning rate with the best validation accuracy."""
    seeds, length, limit = (1, 2, 8192) if quick else (3, 10, 10_000)
    rates = RATES[1:3] if quick else RATES
    network = (*NETWORK, f"data.limit={limit}", f"trainer.max_epochs={length}")
    arms = {str(size): (*network, f"data.batch_size={size}") for size in SIZES}
    place = "batch_size" + ("_quick" if quick else "")
    found = tuned(place, arms, dict.fromkeys(arms, rates), seeds, keep=True, more=0 if quick else MORE)
    # So many epochs that LONGER takes as many steps as MIDDLE.
    longer = {LONGER: (*arms[LONGER], f"trainer.max_epochs={length * int(LONGER) // int(MIDDLE)}")}
    more_steps = tuned(place + "_longer", longer, {LONGER: rates}, seeds, more=0 if quick else MORE)[LONGER]
    trains = {name: [accuracy(restored(folder)) for folder in one.folders] for name, one in found.items()}
    gaps = {name: fmean(trains[name]) - one.mean for name, one in found.items()}
    noises = {"before training": noise(built(0, *network)), "after training": noise(restored(found[MIDDLE].folders[0]))}
    return Study(
        setting=f"784-128-10 on {limit:,} digits, {length} epochs of Adam whatever the batch, {how(seeds, quick)}. "
        "Gap: training less test accuracy, final weights. Noise: E |g_B - g|^2 / |g|^2 of batches that repeat no sample (0 "
        f"for all of them at once), before training (start) and after it with batches of {MIDDLE} (end).",
        table=Table(
            ("batch", "rate", "test accuracy", "train", "gap", "noise, start", "end"),
            [
                (
                    name,
                    f"{one.rate:g}",
                    percent(one.tests),
                    f"{fmean(trains[name]):.1%}",
                    f"{gaps[name]:.1%}",
                    *(f"{noise.measured[k]:.3g}" for noise in noises.values()),
                )
                for k, (name, one) in enumerate(found.items())
            ],
        ),
        conclusions=_conclusions(found, more_steps, trains, gaps, noises),
        figures={"batch_size": draw(found, trains, gaps, noises)},
        captions={"batch_size": "Accuracy, the gap and the noise over batch size; bands: lowest to highest seed."},
    )


def _conclusions(
    found: Mapping[str, Tuned],
    more_steps: Tuned,
    trains: Mapping[str, list[float]],
    gaps: Mapping[str, float],
    noises: Mapping[str, Noise],
) -> list[Conclusion]:
    few, middle = found[LONGER].tests, found[MIDDLE].tests
    short, behind = (difference(tests, middle) for tests in (few, more_steps.tests))
    halfway = [(a + b) / 2 for a, b in zip(few, middle, strict=True)]
    by_steps = f"with as many steps {behind}" + (": no difference is shown" if behind.above() is None else "")
    off = [m / e for one in noises.values() for m, e in zip(one.measured, one.expected, strict=True)]
    noisy = noises["before training"].measured
    largest = str(SIZES[-1])
    return [
        Conclusion(
            "the noise of a batch's gradient falls as 1 / B, as the single samples' gradients say",
            f"measured / expected {min(off):.2f} to {max(off):.2f}",
            all(abs(ratio - 1) < 0.25 for ratio in off),
            supports=f"the gradient's noise is {noisy[0]:.3g} in batches of {SIZES[0]}, {noisy[-1]:.1g} in batches of "
            f"{largest}",
        ),
        Conclusion(
            "relative to the gradient itself the noise grows with training",
            f"at {MIDDLE}: " + " to ".join(f"{one.measured[SIZES.index(int(MIDDLE))]:.3g}" for one in noises.values()),
            all(a > b for a, b in zip(noises["after training"].measured, noises["before training"].measured, strict=True)),
        ),
        Conclusion(
            "for the same number of epochs the largest batch tests worse than each of 32 to 256",
            ", ".join(f"{name}: {one.mean:.1%}" for name, one in found.items()),
            jointly(difference(found[name].tests, found[largest].tests).above() for name in USUAL),
            supports=f"with as many epochs batches of {largest} test {found[largest].mean:.1%}, of {MIDDLE} "
            f"{found[MIDDLE].mean:.1%}",
        ),
        Conclusion(
            "not for a wider gap: it trains less, and its gap is narrower",
            f"training {fmean(trains[largest]):.1%} beside {fmean(trains[MIDDLE]):.1%}, gap {gaps[largest]:.1%} beside "
            f"{gaps[MIDDLE]:.1%}",
            jointly([difference(trains[MIDDLE], trains[largest]).above(), gaps[largest] < gaps[MIDDLE]]),
            contradicts=f"its gap between training and test images is {gaps[largest]:.1%}, not wider than the "
            f"{gaps[MIDDLE]:.1%} of {MIDDLE}",
        ),
        Conclusion(
            f"given as many steps as {MIDDLE}, {LONGER} wins most of it back",
            f"{LONGER} with as many epochs {found[LONGER].mean:.1%}, with as many steps {percent(more_steps.tests)}, "
            f"{behind} beside {MIDDLE}, {difference(more_steps.tests, halfway)} beside halfway",
            difference(more_steps.tests, halfway).above(),
            contradicts=f"batches of {LONGER} test {short} beside {MIDDLE} with as many epochs, {by_steps}",
            unshown=f"batches of {LONGER} test {short} beside {MIDDLE} with as many epochs, {by_steps}",
        ),
    ]


@torch.no_grad()
def accuracy(run: Run) -> float:
    """The accuracy of a run's network on all its training samples."""
    data, network, objective, _ = run
    batch = data.sample(len(data.train))
    return float(objective.score(network(batch.inputs), batch.targets))


def noise(run: Run) -> Noise:
    """The noise of the gradient over a run's training samples."""
    data, network, objective, _ = run
    batch = data.sample(len(data.train))
    count = len(batch.targets)
    return Noise(
        [measured(network, objective, batch, epochs(count, size, DRAWS)) for size in SIZES],
        [expected(network, objective, batch, size) for size in SIZES],
    )


def draw(
    found: Mapping[str, Tuned], trains: Mapping[str, list[float]], gaps: Mapping[str, float], noises: Mapping[str, Noise]
) -> Figure:
    figure = new_figure("Which batch size?", 13.0, 4.8)
    accuracies, behind, noisy = figure.subplots(1, 3)
    sizes = np.array(SIZES)
    for label, colour, marker, values in (
        ("training images", COLOURS[0], "s", list(trains.values())),
        ("test images", COLOURS[1], "o", [one.tests for one in found.values()]),
    ):
        many = 100 * np.array(values)
        accuracies.plot(sizes, many.mean(1), marker=marker, color=colour, linewidth=2.5, label=label)
        accuracies.fill_between(sizes, many.min(1), many.max(1), color=colour, alpha=0.2)
    behind.plot(sizes, [100 * gap for gap in gaps.values()], marker="o", color=COLOURS[2], linewidth=2.5, label="gap")
    for (label, one), colour, marker in zip(noises.items(), COLOURS[3:], "os", strict=False):
        noisy.plot(sizes, one.measured, marker, color=colour, markersize=9, label=label)
        noisy.plot(sizes, one.expected, color="black", linestyle="--", linewidth=1.5)
    noisy.plot([], [], color="black", linestyle="--", linewidth=1.5, label="from single samples")
    logarithmic = {"xscale": "log", "xticks": sizes, "xticklabels": sizes}
    dress(accuracies, "batch size", "accuracy in %", "final weights", **logarithmic)
    dress(behind, "batch size", "percentage points", "training less test accuracy", **logarithmic)
    dress(noisy, "batch size", "|g_B - g|^2 / |g|^2", "noise of the gradient", yscale="log", **logarithmic)
    for axes in (accuracies, behind, noisy):
        axes.minorticks_off()
        axes.tick_params(axis="x", labelrotation=45)
        axes.legend(fontsize=TICK, frameon=False)
    return figure
