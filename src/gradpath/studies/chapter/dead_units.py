"""ReLU's dead zone, and the small gradient that LeakyReLU keeps (C9)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure

from gradpath.model.network import MLP, layer_name
from gradpath.studies.chapter.full_batch import train
from gradpath.studies.chapter.study import Conclusion, Study, Table, difference, percent, seeded
from gradpath.studies.papers.networks import built
from gradpath.studies.pictures.style import COLOURS, TICK, dress, new_figure

# The learning rate is too large on purpose. Large steps push units below 0, where the two activations differ.
MNIST = (
    "data=mnist",
    "model=deep",
    "model.depth=5",
    "model.width=64",
    "init=he_normal",
    "optimizer=adam",
    "optimizer.lr=0.03",
)
SAMPLES = 512
Units = npt.NDArray[np.bool_]
Shares = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Silence:
    """Which hidden units are silent, and which of them pass a gradient on.

    silent: (L, N), whether the unit's pre-activation is at most 0 on every sample.
    moved: (L, N), whether a gradient comes through the unit on any sample.
    """

    silent: Units
    moved: Units


@dataclass(frozen=True)
class Life:
    """The units of one network through training.

    start: before the first step.
    end: after `steps` steps.
    later: after as many steps again.
    accuracy: on the training samples, at `later`.
    """

    start: Silence
    end: Silence
    later: Silence
    accuracy: float


def dead_units(quick: bool = False) -> Study:
    """Trains ReLU and LeakyReLU from the same weights, on the same data, for the same number of steps."""
    seeds, steps = range(2 if quick else 5), 60 if quick else 200
    found = {name: [live((*MNIST, f"activation={name}"), seed, steps) for seed in seeds] for name in ("relu", "leaky_relu")}
    shares = {name: [one.end.silent.mean() for one in many] for name, many in found.items()}
    fewer = difference(shares["relu"], shares["leaky_relu"])
    grown = difference(shares["relu"], [one.start.silent.mean() for one in found["relu"]])
    counts = {name: sum(int(one.end.silent.sum()) for one in many) for name, many in found.items()}
    moved = {name: sum(int((one.end.silent & one.end.moved).sum()) for one in many) for name, many in found.items()}
    stayed = {name: sum(int((one.end.silent & one.later.silent).sum()) for one in many) for name, many in found.items()}
    layers = [layer_name(k, 6) for k in range(5)]
    drawn = {(name, at): _shares(many, at) for name, many in found.items() for at in ("start", "end")}
    return Study(
        setting=f"Five hidden layers of 64, {SAMPLES} digits, {steps} full-batch steps of Adam at 0.03 (too large on "
        f"purpose, for both), {seeded(len(seeds))}. Silent: negative on every sample.",
        table=Table(
            ("layer", "relu, start", "relu, end", "leaky, start", "leaky, end"),
            [
                (
                    layer,
                    *(percent(many[:, k].tolist(), 0) for many in drawn.values()),
                )
                for k, layer in enumerate(layers)
            ],
        ),
        conclusions=[
            Conclusion(
                "large steps leave ReLU units dead: silent on every sample",
                f"{percent(shares['relu'], 0)} of the units, {grown} more than at the start",
                grown.above(0.1),
            ),
            Conclusion(
                "no gradient comes through a silent ReLU unit, one through every silent LeakyReLU unit",
                f"ReLU {moved['relu']} of {counts['relu']}, LeakyReLU {moved['leaky_relu']} of {counts['leaky_relu']}",
                min(counts.values()) > 0 and moved["relu"] == 0 and moved["leaky_relu"] == counts["leaky_relu"],
                supports=f"a gradient comes through {moved['relu']} of {counts['relu']} silent ReLU units and "
                f"{moved['leaky_relu']} of {counts['leaky_relu']} LeakyReLU ones",
            ),
            Conclusion(
                f"of the silent ReLU units at most one in twenty comes back in {steps} steps more",
                f"{stayed['relu']} of {counts['relu']} are silent still; of LeakyReLU's, which could come back, "
                f"{stayed['leaky_relu']} of {counts['leaky_relu']}: there is little left to learn",
                stayed["relu"] >= 0.95 * counts["relu"] > 0,
            ),
            Conclusion(
                "fewer LeakyReLU units end silent",
                f"ReLU - LeakyReLU {fewer}; training accuracy "
                + ", ".join(f"{name} {percent([one.accuracy for one in many], 0)}" for name, many in found.items()),
                fewer.above(),
            ),
        ],
        figures={"dead_units": draw(layers, drawn)},
        captions={"dead_units": "Share of units that are silent on every sample, per layer; lines: lowest to highest seed."},
    )


def live(overrides: Sequence[str], seed: int, steps: int) -> Life:
    """Trains for `steps` steps, then for as many again."""
    one = train(seed, overrides, 2 * steps, SAMPLES, (0, steps))
    start, end, later = (silence(overrides, seed, network) for network in (one.films[0], one.films[steps], one.network))
    return Life(start, end, later, one.accuracy)


def silence(overrides: Sequence[str], seed: int, network: MLP) -> Silence:
    """Finds the silent units of `network` on the samples that it was trained on."""
    data, _, objective, _ = built(seed, *overrides)
    batch, hidden = data.sample(SAMPLES), []
    x = batch.inputs.double().flatten(1)
    for block in network.blocks:
        h = block.get_submodule("linear")(x)
        h.retain_grad()
        hidden.append(h)
        x = block.get_submodule("activation")(h) if block is not network.blocks[-1] else h
    objective.loss(x, batch.targets).backward()  # type: ignore[no-untyped-call]
    silent = torch.stack([(h <= 0).all(0) for h in hidden[:-1]])
    moved = torch.stack([(h.grad != 0).any(0) for h in hidden[:-1] if h.grad is not None])
    network.zero_grad()
    return Silence(silent.numpy(), moved.numpy())


def _shares(many: Sequence[Life], at: str) -> Shares:
    """The share of silent units, (seeds, L), at the moment `at`: a field of Life."""
    found: Shares = np.array([getattr(one, at).silent.mean(1) for one in many])
    return found


def draw(layers: Sequence[str], drawn: dict[tuple[str, str], Shares]) -> Figure:
    figure = new_figure("Dead units: ReLU against LeakyReLU")
    axes = figure.subplots()
    at = np.arange(len(layers))
    for k, ((name, when), many) in enumerate(drawn.items()):
        mean = 100 * many.mean(0)
        axes.bar(
            at + 0.2 * (k - 1.5),
            mean,
            0.18,
            yerr=[mean - 100 * many.min(0), 100 * many.max(0) - mean],
            color=COLOURS[0] if name == "relu" else COLOURS[1],
            alpha=0.45 if when == "start" else 1,
            hatch="//" if when == "start" else "",
            label=f"{name}, {when}",
        )
    dress(axes, "layer", "silent units in %", xticks=at, xticklabels=layers, ylim=(0, None))
    figure.legend(fontsize=TICK, loc="outside lower center", ncols=4, frameon=False)
    return figure
