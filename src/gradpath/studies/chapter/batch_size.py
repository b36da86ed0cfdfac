"""Which batch size? (C15) Test accuracy, the gap to the training images, and the gradient's noise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import torch
from matplotlib.figure import Figure

from gradpath.checkpoint import LAST, load_checkpoint, network_state
from gradpath.report.style import COLOURS, TICK, dress, new_figure
from gradpath.studies import runs
from gradpath.studies.chapter.gradient_noise import epochs, expected, measured
from gradpath.studies.chapter.study import Conclusion, Study, Table, percent, seeded
from gradpath.studies.claims.networks import Built, built

NETWORK = ("model=two_layer", "optimizer=adam", "schedule=constant", "probe=none", "trainer=cpu")
SIZES = (8, 32, 128, 256, 1024, 4096)
# The chapter's range, and one of it.
USUAL, MIDDLE = (32, 128, 256), 128
RATES = (0.0003, 0.001, 0.003, 0.01)
# Batches over which the noise is averaged, at least.
DRAWS = 32


@dataclass(frozen=True)
class Trained:
    """One batch size at its best rate: accuracy of the weights that a run ended with, a number per seed."""

    rate: float
    test: list[float]
    train: list[float]

    @property
    def gap(self) -> float:
        return fmean(self.train) - fmean(self.test)


@dataclass(frozen=True)
class Noise:
    """E |g_B - g|^2 / |g|^2 of a network for each of SIZES, measured over batches and expected from single samples."""

    measured: list[float]
    expected: list[float]


def batch_size(quick: bool = False) -> Study:
    """As many epochs for every size, each at the learning rate that validates best."""
    seeds, length, limit = (1, 2, 8192) if quick else (3, 10, 10_000)
    rates = RATES[1:3] if quick else RATES
    place = "batch_size" + ("_quick" if quick else "")
    network = (*NETWORK, f"data.limit={limit}", f"trainer.max_epochs={length}")
    typed = {
        (size, rate, seed): (*network, f"data.batch_size={size}", f"optimizer.lr={rate:g}", f"seed={seed}")
        for size in SIZES
        for rate in rates
        for seed in range(seeds)
    }
    results = runs.train_all(place, {_cell(*key): overrides for key, overrides in typed.items()}, keep=True)

    def scores(size: int, rate: float, metric: str) -> list[float]:
        return [results[_cell(size, rate, seed)]["metrics"].get(metric, 0.1) for seed in range(seeds)]

    best = {size: max(rates, key=lambda rate, size=size: fmean(scores(size, rate, "val/accuracy"))) for size in SIZES}
    found = {}
    for size, rate in best.items():
        ends = [ended(place, _cell(size, rate, seed), typed[size, rate, seed]) for seed in range(seeds)]
        found[size] = Trained(rate, scores(size, rate, "test/accuracy"), [accuracy(one) for one in ends])
    noises = {
        "before training": noise(built(0, *network)),
        "after training": noise(ended(place, _cell(MIDDLE, best[MIDDLE], 0), typed[MIDDLE, best[MIDDLE], 0])),
    }
    off = [m / e for one in noises.values() for m, e in zip(one.measured, one.expected, strict=True)]
    tests = {size: fmean(one.test) for size, one in found.items()}
    usual, largest = max(tests[size] for size in USUAL), SIZES[-1]
    return Study(
        setting=f"784-128-10 on {limit:,} digits, {length} epochs of Adam whatever the batch, each size's best of "
        f"{len(rates)} rates by validation, {seeded(seeds)}. Gap: training less "
        f"test accuracy, final weights. Noise: E |g_B - g|^2 / |g|^2; end: after training with batches of {MIDDLE}.",
        table=Table(
            ("batch", "rate", "test accuracy", "train", "gap", "noise, start", "end"),
            [
                (
                    str(size),
                    f"{one.rate:g}",
                    percent(one.test),
                    f"{fmean(one.train):.1%}",
                    f"{one.gap:.1%}",
                    *(f"{noise.measured[k]:.3g}" for noise in noises.values()),
                )
                for k, (size, one) in enumerate(found.items())
            ],
        ),
        conclusions=[
            Conclusion(
                "the noise of a batch's gradient falls as 1 / B, as the single samples' gradients say",
                f"measured / expected {min(off):.2f} to {max(off):.2f}",
                all(abs(ratio - 1) < 0.25 for ratio in off),
            ),
            Conclusion(
                "training makes it noisier: what is left to learn differs from sample to sample",
                f"at {MIDDLE}: " + " to ".join(f"{one.measured[SIZES.index(MIDDLE)]:.3g}" for one in noises.values()),
                all(
                    a > b for a, b in zip(noises["after training"].measured, noises["before training"].measured, strict=True)
                ),
            ),
            Conclusion(
                "for the same number of epochs the largest batch tests worse than 32 to 256",
                ", ".join(f"{size}: {value:.1%}" for size, value in tests.items()),
                tests[largest] < usual,
            ),
            Conclusion(
                "what it lacks is steps, not generalisation: its gap is no larger",
                ", ".join(f"{size}: {one.gap:.1%}" for size, one in found.items()),
                found[largest].gap <= found[MIDDLE].gap,
            ),
        ],
        figures={"batch_size": draw(found, noises)},
        captions={"batch_size": "Accuracy, the gap and the noise over batch size; bands: lowest to highest seed."},
    )


def ended(place: str, cell: str, overrides: Sequence[str]) -> Built:
    """The network with the weights that a run ended with, and its data."""
    one = built(0, *overrides)
    one.network.load_state_dict(network_state(load_checkpoint(runs.STUDIES / place / cell / LAST, one.network)))
    return one


@torch.no_grad()
def accuracy(one: Built) -> float:
    """On all its training samples."""
    batch = one.data.sample(len(one.data.train))
    return float(one.objective.score(one.network(batch.inputs), batch.targets))


def noise(one: Built) -> Noise:
    """Over its training samples."""
    batch = one.data.sample(len(one.data.train))
    count = len(batch.targets)
    return Noise(
        [measured(one.network, one.objective, batch, epochs(count, size, DRAWS)) for size in SIZES],
        [expected(one.network, one.objective, batch, size) for size in SIZES],
    )


def _cell(size: int, rate: float, seed: int) -> str:
    return f"{size}_{rate:g}_{seed}"


def draw(found: Mapping[int, Trained], noises: Mapping[str, Noise]) -> Figure:
    figure = new_figure("Which batch size?", 13.0, 4.8)
    accuracies, gaps, noisy = figure.subplots(1, 3)
    sizes = np.array(list(found))
    for label, colour, marker, values in (
        ("training images", COLOURS[0], "s", [one.train for one in found.values()]),
        ("test images", COLOURS[1], "o", [one.test for one in found.values()]),
    ):
        many = 100 * np.array(values)
        accuracies.plot(sizes, many.mean(1), marker=marker, color=colour, linewidth=2.5, label=label)
        accuracies.fill_between(sizes, many.min(1), many.max(1), color=colour, alpha=0.2)
    gaps.plot(sizes, [100 * one.gap for one in found.values()], marker="o", color=COLOURS[2], linewidth=2.5, label="gap")
    for (label, one), colour, marker in zip(noises.items(), COLOURS[3:], "os", strict=False):
        noisy.plot(sizes, one.measured, marker, color=colour, markersize=9, label=label)
        noisy.plot(sizes, one.expected, color="black", linestyle="--", linewidth=1.5)
    noisy.plot([], [], color="black", linestyle="--", linewidth=1.5, label="from single samples")
    logarithmic = {"xscale": "log", "xticks": sizes, "xticklabels": sizes}
    dress(accuracies, "batch size", "accuracy in %", "final weights", **logarithmic)
    dress(gaps, "batch size", "percentage points", "training less test accuracy", **logarithmic)
    dress(noisy, "batch size", "|g_B - g|^2 / |g|^2", "noise of the gradient", yscale="log", **logarithmic)
    for axes in (accuracies, gaps, noisy):
        axes.minorticks_off()
        axes.tick_params(axis="x", labelrotation=45)
        axes.legend(fontsize=TICK, frameon=False)
    return figure
