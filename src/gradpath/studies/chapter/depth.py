"""Gradients that vanish or explode through depth (C17).

Compares the factor per layer with theory's, and the test accuracies after an epoch.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import pi

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from gradpath.flow.profile import measure
from gradpath.model.predicted import predict_network
from gradpath.run.inspection import SAMPLE
from gradpath.studies.chapter.study import Conclusion, Study, Table, difference, jointly
from gradpath.studies.chapter.tuning import MORE, Tuned, how, tuned
from gradpath.studies.papers.networks import built
from gradpath.studies.pictures.style import COLOURS, DASHES, TICK, dress, new_figure

Profile = npt.NDArray[np.float64]
WIDTH = 128
TRAINED = ("schedule=constant", "probe=none", "trainer=cpu", "trainer.max_epochs=1", "optimizer=sgd")
# The rates tried first. The learning rate is a nuisance parameter here, so each network gets its own best one.
RATES, SEEDS = (0.01, 0.1), 3
Networks = Mapping[str, Sequence[str]]
SIGMOID, BATCH_NORM = "sigmoid, Xavier", "ReLU, BatchNorm"
HEALTHY: Networks = {
    "ReLU, He": ("activation=relu", "init=he_normal"),
    "tanh, critical": ("activation=tanh", "init=critical"),
}
VANISHING: Networks = {
    SIGMOID: ("activation=sigmoid", "init=xavier_normal", "init.gain=1"),
    "ReLU, PyTorch's default": ("activation=relu", "init=pytorch"),
    "tanh, PyTorch's default": ("activation=tanh", "init=pytorch"),
}
EXPLODING: Networks = {
    "tanh, sigma_w^2 = 4": ("activation=tanh", "init=he_normal", "init.gain=2"),
    "ReLU, sigma_w^2 = 4": ("activation=relu", "init=he_normal", "init.gain=2"),
    BATCH_NORM: ("activation=relu", "init=he_normal", "norm=batch_before"),
}
# Below this a network only guesses: always naming the most frequent digit is right on 11.4 % of the test images.
CHANCE = 0.12


@dataclass(frozen=True)
class Flow:
    """|delta| of each hidden layer divided by that of the last hidden layer, as a geometric mean over seeds.

    measured: (L,), in the network.
    predicted: (L,), by theory.
    """

    measured: Profile
    predicted: Profile

    @property
    def ratio(self) -> float:
        """The ratio of |delta| in the first hidden layer to |delta| in the last, measured."""
        return float(self.measured[0])

    @property
    def factors(self) -> tuple[float, float]:
        """The mean factor by which |delta| changes per layer towards the input: measured, predicted."""
        steps = len(self.measured) - 1
        return float(self.measured[0] ** (1 / steps)), float(self.predicted[0] ** (1 / steps))


Concluded = Callable[[Mapping[str, Flow], Mapping[str, Tuned]], list[Conclusion]]


def vanishing(quick: bool = False) -> Study:
    """Measures the gradient in fifteen layers at step 0, and trains for an epoch, each network at its best learning rate."""
    return _study("vanishing", VANISHING, 15, quick, _of_vanishing)


def exploding(quick: bool = False) -> Study:
    """Measures the gradient in forty layers at step 0, and trains for an epoch, each network at its best learning rate."""
    return _study("exploding", EXPLODING, 40, quick, _of_exploding)


def _study(name: str, sick: Networks, depth: int, quick: bool, concluded: Concluded) -> Study:
    networks = {**sick, **HEALTHY}
    flows = {network: flow(overrides, depth, 2 if quick else 5) for network, overrides in networks.items()}
    trained = accuracies(name, networks, depth, quick)
    return Study(
        setting=f"{depth} hidden layers of {WIDTH}; |delta| on {SAMPLE} digits before training; then {epoch_of_sgd(quick)}.",
        table=table(flows, trained),
        conclusions=concluded(flows, trained),
        figures={name: draw(f"{name.capitalize()} gradients", flows)},
        captions={name: "The gradient on its way from the last hidden layer (right) to the first, before training."},
    )


def _of_vanishing(flows: Mapping[str, Flow], trained: Mapping[str, Tuned]) -> list[Conclusion]:
    sigmoid, tried = trained[SIGMOID].mean, ", ".join(f"{rate:g}" for rate in trained[SIGMOID].validation)
    worst, best = _between(trained, VANISHING)
    return [
        Conclusion(
            "sigmoid with Xavier, ReLU and tanh with PyTorch's default lose the gradient; ReLU with He and tanh at the "
            "critical scale do not",
            ", ".join(f"{name} {one.ratio:.1g}" for name, one in flows.items()),
            all(flows[name].ratio < 1e-2 for name in VANISHING) and _healthy(flows),
            supports=_per_layer(flows, VANISHING),
        ),
        _by_theory(flows, "they lose it by the factor of theory, sqrt(sigma_w^2 E phi'^2) per layer"),
        Conclusion(
            "the deep sigmoid network learns at none of the rates tried, and the sick ones learn less than the healthy",
            f"sigmoid {sigmoid:.1%} (at {tried}), best of the sick {worst.mean:.1%}, worst of the healthy {best.mean:.1%}, "
            f"{difference(best.tests, worst.tests)} apart",
            jointly([sigmoid < CHANCE, difference(best.tests, worst.tests).above()]),
        ),
    ]


def _of_exploding(flows: Mapping[str, Flow], trained: Mapping[str, Tuned]) -> list[Conclusion]:
    worst, best = _between(trained, [name for name in EXPLODING if name != BATCH_NORM])
    return [
        Conclusion(
            "too large a scale blows the gradient up, and so does BatchNorm at any; He's and the critical one do not",
            ", ".join(f"{name} {one.ratio:.2g}" for name, one in flows.items()),
            all(flows[name].ratio > 1e2 for name in EXPLODING) and _healthy(flows),
            supports=_per_layer(flows, EXPLODING),
        ),
        _by_theory(
            flows,
            "by the factor of theory: sqrt(sigma_w^2 E phi'^2) per layer; behind BatchNorm about sqrt(pi / (pi - 1))",
            f"; with BatchNorm {flows[BATCH_NORM].factors[0]:.3f}, sqrt(pi / (pi - 1)) = {(pi / (pi - 1)) ** 0.5:.3f}",
        ),
        Conclusion(
            "with too large a scale networks learn less than healthy ones, at each one's best rate",
            f"best of the two {worst.mean:.1%}, worst healthy one {best.mean:.1%}; with BatchNorm "
            f"{trained[BATCH_NORM].mean:.1%}; {difference(best.tests, worst.tests)} apart",
            difference(best.tests, worst.tests).above(),
        ),
    ]


def _between(trained: Mapping[str, Tuned], sick: Iterable[str]) -> tuple[Tuned, Tuned]:
    """The best of the sick networks, and the worst of the healthy ones."""
    best = max((trained[name] for name in sick), key=lambda one: one.mean)
    return best, min((trained[name] for name in HEALTHY), key=lambda one: one.mean)


def _healthy(flows: Mapping[str, Flow]) -> bool:
    return all(0.1 < flows[name].ratio < 10 for name in HEALTHY)


def _per_layer(flows: Mapping[str, Flow], sick: Networks) -> str:
    return "per layer " + ", ".join(f"{flows[name].factors[0]:.2f} ({name})" for name in sick)


def _by_theory(flows: Mapping[str, Flow], statement: str, more: str = "") -> Conclusion:
    off = [one.factors[0] / one.factors[1] for one in flows.values()]
    return Conclusion(
        statement,
        f"measured / predicted factor {min(off):.3f} to {max(off):.3f}{more}",
        all(abs(ratio - 1) < 0.05 for ratio in off),
        supports=f"within {max(abs(ratio - 1) for ratio in off):.1%} of theory's factor",
    )


def flow(overrides: Sequence[str], depth: int, seeds: int) -> Flow:
    """Measures the gradient before training, on SAMPLE digits, and predicts it, for `seeds` seeds."""
    measured, predicted = [], []
    for seed in range(seeds):
        data, network, objective, _ = built(seed, *shaped(overrides, depth))
        batch = data.sample(SAMPLE)
        rows = measure(network, objective, batch)
        deltas = np.array([row.delta for row in rows[:-1]])
        measured.append(deltas / deltas[-1])
        theory = predict_network(network, rows, batch.inputs)
        assert theory is not None
        predicted.append([row.delta for row in theory.layers])
    return Flow(np.exp(np.mean(np.log(measured), axis=0)), np.exp(np.mean(np.log(predicted), axis=0)))


def accuracies(place: str, networks: Mapping[str, Sequence[str]], depth: int, quick: bool) -> dict[str, Tuned]:
    """Trains each network for an epoch of SGD at several learning rates; returns the results by the network's name."""
    seeds, rates, limit = (1, RATES, 6400) if quick else (SEEDS, RATES, 50_000)
    arms = {name: (*shaped(overrides, depth), *TRAINED, f"data.limit={limit}") for name, overrides in networks.items()}
    return tuned(place + ("_quick" if quick else ""), arms, dict.fromkeys(arms, rates), seeds, more=0 if quick else MORE)


def table(flows: Mapping[str, Flow], trained: Mapping[str, Tuned]) -> Table:
    """The study's table: a row per network."""
    rows = []
    for name, one in flows.items():
        measured, predicted = one.factors
        rows.append((name, f"{one.ratio:.2g}", f"{measured:.3f}", f"{predicted:.3f}", *trained[name].shown))
    return Table(("network", "first / last", "per layer", "theory", "test accuracy", "at rate"), rows)


def epoch_of_sgd(quick: bool) -> str:
    """Describes on a page how `accuracies` trains."""
    return f"one epoch of SGD on MNIST, {how(1 if quick else SEEDS, quick)}"


def shaped(overrides: Sequence[str], depth: int) -> tuple[str, ...]:
    return (*overrides, "model=deep", f"model.depth={depth}", f"model.width={WIDTH}")


def draw(title: str, flows: Mapping[str, Flow]) -> Figure:
    """Draws |delta| over the layers, from the input (left) to the output. Solid: measured; dashed: theory."""
    figure = new_figure(title, height=5.6)
    axes = figure.subplots()
    for (name, one), colour in zip(flows.items(), COLOURS, strict=False):
        layers = np.arange(1, len(one.measured) + 1)
        axes.plot(layers, one.measured, color=colour, linewidth=2.8, label=name)
        axes.plot(layers, one.predicted, color="black", linestyle=DASHES[2], linewidth=1.4)
    axes.plot([], [], color="black", linestyle=DASHES[2], linewidth=1.4, label="theory of wide networks")
    dress(axes, "hidden layer, 1 next to the input", "|delta| relative to the last hidden layer", yscale="log")
    figure.legend(fontsize=TICK, loc="outside lower center", ncols=2, frameon=False)
    return figure
