"""SGD, momentum, RMSProp and Adam (C10) on three surfaces and on MNIST, each at its own best learning rate."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import sqrt
from statistics import fmean

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradpath.studies import trainings
from gradpath.studies.chapter.study import Conclusion, Study, Table, difference, jointly
from gradpath.studies.chapter.surfaces import SURFACES, Path, Surface, arrival, departure, ravine, steepness, walks
from gradpath.studies.chapter.tuning import MORE, Tuned, how, tuned
from gradpath.studies.pictures.loss_curves import Line, loss_curves
from gradpath.studies.pictures.style import COLOURS, TICK, dress, new_figure

Curve = npt.NDArray[np.float64]
OPTIMIZERS = ("sgd", "momentum", "rmsprop", "adam")
# On the surfaces: enough steps to see who reaches the goal and leaves it again. Neighbouring rates differ by a sixth.
STEPS = 400
RATES = np.geomspace(1e-3, 10, 61).tolist()
# The momentum of the option, and the ravines through which it is compared with SGD.
MOMENTUM = 0.9
CONDITIONS = (10, 20, 30, 40, 50)
# On MNIST: a decade and a half of rates around the usual one of each optimiser.
TRIED = {
    "sgd": (0.03, 0.1, 0.3, 1.0),
    "momentum": (0.01, 0.03, 0.1, 0.3),
    "rmsprop": (0.0001, 0.0003, 0.001, 0.003),
    "adam": (0.0003, 0.001, 0.003, 0.01),
}


@dataclass(frozen=True)
class Way:
    """One optimiser on one surface, at the learning rate that `quickest` finds.

    rate: the learning rate.
    steps: the number of steps to the goal; inf if it is not reached.
    path: (STEPS + 1, 2), the weights before each step and after the last.
    """

    rate: float
    steps: float
    path: Path


@dataclass(frozen=True)
class Digits:
    """The optimisers on MNIST, by name.

    trained: the runs, with the best rate among those tried.
    wrong: the runs at a tenth of the best rate and at ten times it.
    curves: the training loss at every step with the best rate, one curve per seed.
    """

    trained: Mapping[str, Tuned]
    wrong: Mapping[str, Tuned]
    curves: Mapping[str, list[Curve]]

    @property
    def steps(self) -> int:
        return max(len(curve) for many in self.curves.values() for curve in many)


def optimizers(quick: bool = False) -> Study:
    """Follows each optimiser over surfaces of two weights, then trains the default network for an epoch at every rate."""
    ways = {surface.title: {name: quickest(surface, name) for name in OPTIMIZERS} for surface in SURFACES}
    flatter = {condition: through(condition) for condition in CONDITIONS}
    seeds = 1 if quick else 3
    digits = on_mnist(quick, seeds)
    return Study(
        setting="; ".join(f"{one.title}: {one.formula}, steps to a loss of {one.goal:g} for good" for one in SURFACES)
        + f"; of {len(RATES)} rates the quickest, its neighbours' steps included. MNIST: the default network, "
        f"{digits.steps} steps at a constant rate, {how(seeds, quick)}.",
        table=Table(
            ("optimiser", *(f"{surface.title}: steps" for surface in SURFACES), "MNIST", "at rate"),
            [
                (name, *(f"{many[name].steps:g}" for many in ways.values()), *digits.trained[name].shown)
                for name in OPTIMIZERS
            ],
        ),
        conclusions=[*_of_the_ways(ways["ravine"], ways["saddle"], flatter), _of_ravines(flatter), _of_the_rates(digits)],
        figures={
            "optimizers": draw_ways(ways),
            "optimizers_mnist": loss_curves(
                [Line(f"{name} at {one.rate:g}", digits.curves[name]) for name, one in digits.trained.items()],
                digits.steps,
                "MNIST, each at its best rate",
            ),
        },
        captions={
            "optimizers": "Each optimiser at its quickest rate, from the circle; a dot per step; light: low loss.",
            "optimizers_mnist": "Training loss of each optimiser at its best rate; faint: one run, strong: smoothed.",
        },
    )


def on_mnist(quick: bool, seeds: int) -> Digits:
    """Trains the default network for an epoch with each optimiser: at its rates, then at a tenth and ten times the best."""
    place, limit = ("optimizers_quick", 12_800) if quick else ("optimizers", 50_000)
    arms = {
        name: (*trainings.CURVES, "trainer.max_epochs=1", f"data.limit={limit}", f"optimizer={name}") for name in OPTIMIZERS
    }
    trained = tuned(place, arms, TRIED, seeds, more=0 if quick else MORE)
    wrong = tuned(place, arms, {name: (one.rate / 10, one.rate * 10) for name, one in trained.items()}, seeds, more=0)
    return Digits(
        trained, wrong, {name: [trainings.losses(folder) for folder in one.folders] for name, one in trained.items()}
    )


def _of_the_ways(
    across: Mapping[str, Way], saddle: Mapping[str, Way], flatter: Mapping[int, Mapping[str, Way]]
) -> list[Conclusion]:
    gentle = flatter[CONDITIONS[0]]
    steep, first = steepness(SURFACES[0]), {name: first_step(way.path) for name, way in across.items()}
    left = {name: departure(way.path) for name, way in saddle.items()}
    return [
        Conclusion(
            "SGD's and momentum's first step is in proportion to the gradient; RMSProp and Adam step as far in each weight",
            f"across / along the ravine, where the gradient is {steep:.3g} times as large across: "
            + ", ".join(f"{name} {ratio:.3g}" for name, ratio in first.items()),
            all(abs(first[name] / steep - 1) < 1e-6 for name in ("sgd", "momentum"))
            and all(abs(first[name] - 1) < 1e-6 for name in ("rmsprop", "adam")),
            supports=f"where one gradient is {steep:.3g} times the other, SGD's first step is {first['sgd']:.3g} times as "
            f"long, RMSProp's {first['rmsprop']:.3g} and Adam's {first['adam']:.3g} times",
        ),
        Conclusion(
            "momentum is quicker than SGD through the ravine of condition number 100",
            ", ".join(f"{name} {way.steps:g} steps at {way.rate:.2g}" for name, way in across.items()),
            across["momentum"].steps < across["sgd"].steps,
            supports=f"momentum takes {across['momentum'].steps:g} steps through a ravine of condition number 100, SGD "
            f"{across['sgd'].steps:g}; through one of {CONDITIONS[0]} it takes {gentle['momentum'].steps:g}, "
            f"SGD {gentle['sgd'].steps:g}",
        ),
        Conclusion(
            "RMSProp and Adam leave the saddle (|w2| > 1/2) sooner than SGD and momentum",
            ", ".join(f"{name} {steps:g} steps at {saddle[name].rate:.2g}" for name, steps in left.items()),
            max(left[name] for name in ("rmsprop", "adam")) < min(left[name] for name in ("sgd", "momentum")),
        ),
    ]


def _of_ravines(flatter: Mapping[int, Mapping[str, Way]]) -> Conclusion:
    turn = break_even(MOMENTUM)
    return Conclusion(
        f"in flatter ravines SGD is quicker: with a momentum of {MOMENTUM:g} up to a condition number of "
        f"(1 + sqrt({MOMENTUM:g})) / (1 - sqrt({MOMENTUM:g})) = {turn:.0f}",
        "steps of SGD and momentum, each at its quickest rate: "
        + ", ".join(f"{one['sgd'].steps:g} and {one['momentum'].steps:g} at {at}" for at, one in flatter.items()),
        all((one["sgd"].steps < one["momentum"].steps) == (at < turn) for at, one in flatter.items()),
    )


def _of_the_rates(digits: Digits) -> Conclusion:
    scores = {name: one.validation[one.rate] for name, one in digits.trained.items()}
    means = {name: fmean(score) for name, score in scores.items()}
    apart = difference(*(scores[choose(means, key=lambda name: means[name])] for choose in (max, min)))
    costs = {name: [difference(scores[name], off) for off in one.validation.values()] for name, one in digits.wrong.items()}
    dear = {name: max(many, key=lambda cost: cost.mean) for name, many in costs.items()}
    return Conclusion(
        "on MNIST a rate that is ten times off costs more than another optimiser at its own best rate",
        f"the best and the worst of the four are {apart} apart in validation; the worse of a tenth and ten times the best "
        "rate costs " + ", ".join(f"{name} {cost}" for name, cost in dear.items()),
        jointly(cost.beyond(apart) for cost in dear.values()),
    )


def quickest(surface: Surface, optimizer: str) -> Way:
    """The way at the rate in RATES that needs the fewest steps to the goal.

    What counts is the largest number among a rate and its two neighbours, so that one lucky jump does not win.
    """
    paths = walks(surface, optimizer, RATES, STEPS)
    steps = np.array([arrival(surface, path) for path in paths])
    around = [float(steps[k - 1 : k + 2].max()) for k in range(1, len(RATES) - 1)]
    best = 1 + int(np.argmin(around))
    return Way(RATES[best], float(steps[best]), paths[best])


def through(condition: float) -> dict[str, Way]:
    """SGD's and momentum's way through a ravine of this condition number."""
    surface = replace(SURFACES[0], loss=partial(ravine, condition=condition))
    return {name: quickest(surface, name) for name in ("sgd", "momentum")}


def break_even(momentum: float) -> float:
    """The condition number of a quadratic above which momentum converges faster than SGD, each at its best rate.

    SGD's best rate shrinks the error by (k - 1) / (k + 1) per step, k being the condition number; momentum's shrinks it by
    sqrt(momentum), for k up to the square of what is returned (Polyak 1964).
    """
    root = sqrt(momentum)
    return (1 + root) / (1 - root)


def first_step(path: Path) -> float:
    """The length of the first step in the second weight, divided by that in the first weight."""
    along, across = np.abs(path[1] - path[0])
    return float(across / along)


def draw_ways(ways: Mapping[str, Mapping[str, Way]]) -> Figure:
    figure = new_figure("Four optimisers on three surfaces", 13.0, 5.0)
    panels = figure.subplots(1, len(SURFACES))
    for axes, surface in zip(panels, SURFACES, strict=True):
        _contours(axes, surface)
        for (name, way), colour in zip(ways[surface.title].items(), COLOURS, strict=False):
            # Only the steps to the goal are drawn, because later ones would hide it.
            x, y = way.path[: int(min(way.steps, STEPS)) + 1].T
            axes.plot(x, y, marker=".", markersize=7, color=colour, linewidth=2, label=name)
        axes.plot(*surface.start, "o", color="white", markersize=10, markeredgecolor="black", zorder=5)
        dress(axes, *surface.weights, surface.title, xlim=surface.window[0], ylim=surface.window[1])
    figure.legend(*panels[0].get_legend_handles_labels(), fontsize=TICK, loc="outside lower center", ncols=4, frameon=False)
    return figure


def _contours(axes: Axes, surface: Surface) -> None:
    (left, right), (bottom, top) = surface.window
    x, y = torch.linspace(left, right, 121).double(), torch.linspace(bottom, top, 121).double()
    values = surface.loss(torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)).numpy()
    # Contour levels at equal quantiles of the loss, so that the floor of a valley has lines too.
    levels = np.unique(np.quantile(values, np.linspace(0, 1, 13)))
    axes.contourf(x.numpy(), y.numpy(), values, levels=levels, cmap="Greys", alpha=0.6)
