"""Gradients through depth beside theory, and what becomes of training (C17): what `vanishing` and `exploding` share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from gradpath.flow.profile import measure
from gradpath.model.predicted import predict_network
from gradpath.run.inspection import SAMPLE
from gradpath.studies.chapter.study import Table
from gradpath.studies.chapter.tuning import MORE, Tuned, how, tuned
from gradpath.studies.papers.networks import built
from gradpath.studies.pictures.style import COLOURS, DASHES, TICK, dress, new_figure

Profile = npt.NDArray[np.float64]
WIDTH = 128
TRAINED = ("schedule=constant", "probe=none", "trainer=cpu", "trainer.max_epochs=1", "optimizer=sgd")
# To begin with: the learning rate is a nuisance where networks are compared, and each gets its own.
RATES, SEEDS = (0.01, 0.1), 3


@dataclass(frozen=True)
class Flow:
    """|delta| of each hidden layer relative to the last one, (L,): the (geometric) mean over seeds, and theory's."""

    measured: Profile
    predicted: Profile

    @property
    def ratio(self) -> float:
        """Of the first to the last hidden layer."""
        return float(self.measured[0])

    @property
    def factors(self) -> tuple[float, float]:
        """Per layer towards the input, from the first layer to the last: measured, predicted."""
        steps = len(self.measured) - 1
        return float(self.measured[0] ** (1 / steps)), float(self.predicted[0] ** (1 / steps))


def flow(overrides: Sequence[str], depth: int, seeds: int) -> Flow:
    """At step 0, on 256 digits."""
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
    """What each network learns in an epoch of SGD at its best rate."""
    seeds, rates, limit = (1, RATES, 6400) if quick else (SEEDS, RATES, 50_000)
    arms = {name: (*shaped(overrides, depth), *TRAINED, f"data.limit={limit}") for name, overrides in networks.items()}
    return tuned(place + ("_quick" if quick else ""), arms, dict.fromkeys(arms, rates), seeds, more=0 if quick else MORE)


def table(flows: Mapping[str, Flow], trained: Mapping[str, Tuned]) -> Table:
    """A row per network."""
    rows = []
    for name, one in flows.items():
        measured, predicted = one.factors
        rows.append((name, f"{one.ratio:.2g}", f"{measured:.3f}", f"{predicted:.3f}", *trained[name].shown))
    return Table(("network", "first / last", "per layer", "theory", "test accuracy", "at rate"), rows)


def setting(depth: int, quick: bool) -> str:
    return f"{depth} hidden layers of {WIDTH}; |delta| on {SAMPLE} digits before training; then {epoch_of_sgd(quick)}."


def epoch_of_sgd(quick: bool) -> str:
    """How `accuracies` trains, for a page."""
    return f"one epoch of SGD on MNIST, {how(1 if quick else SEEDS, quick)}"


def shaped(overrides: Sequence[str], depth: int) -> tuple[str, ...]:
    return (*overrides, "model=deep", f"model.depth={depth}", f"model.width={WIDTH}")


def draw(title: str, flows: Mapping[str, Flow]) -> Figure:
    """Layers from the input (left) to the output; solid: measured, dashed: theory."""
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
