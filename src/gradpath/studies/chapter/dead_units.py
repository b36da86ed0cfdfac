"""ReLU's dead zone, and the small gradient that LeakyReLU keeps (C9)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from gradpath.network import MLP, layer_name
from gradpath.report.style import COLOURS, TICK, dress, new_figure
from gradpath.studies.chapter.full_batch import train
from gradpath.studies.chapter.study import Conclusion, Study, Table, percent, seeded
from gradpath.studies.claims.networks import built

# Too large a step, which throws units into the negative half: where the two part.
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
Shares = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Silence:
    """Of each hidden layer, (L,): silent, the share of units whose pre-activation is negative on every sample; moved, the
    share of those through which a gradient comes all the same."""

    silent: Shares
    moved: Shares


def dead_units(quick: bool = False) -> Study:
    """Both activations with the same weights, data and steps."""
    seeds, steps = range(1 if quick else 5), 60 if quick else 200
    found: dict[str, list[tuple[Silence, Silence]]] = {}
    accuracy: dict[str, float] = {}
    for activation in ("relu", "leaky_relu"):
        typed = (*MNIST, f"activation={activation}")
        runs = [train(seed, typed, steps, SAMPLES, (0,)) for seed in seeds]
        found[activation] = [
            (silence(typed, seed, one.films[0]), silence(typed, seed, one.network))
            for seed, one in zip(seeds, runs, strict=True)
        ]
        accuracy[activation] = float(np.mean([one.accuracy for one in runs]))
    before = {name: np.mean([start.silent for start, _ in many], axis=0) for name, many in found.items()}
    after = {name: np.mean([end.silent for _, end in many], axis=0) for name, many in found.items()}
    moved = {name: [end.moved[end.silent > 0] for _, end in many] for name, many in found.items()}
    layers = [layer_name(k, 6) for k in range(5)]
    kept = float(np.concatenate(moved["leaky_relu"]).min(initial=1.0))
    lost = float(np.concatenate(moved["relu"]).max(initial=0.0))
    return Study(
        setting=f"Five hidden layers of 64, {SAMPLES} digits, {steps} full-batch steps of Adam at 0.03 (too large on "
        f"purpose), {seeded(len(seeds))}. Silent: negative on every sample.",
        table=Table(
            ("layer", "relu, start", "relu, end", "leaky, start", "leaky, end"),
            [
                (layer, *(percent([pair[at].silent[k] for pair in many], 0) for many in found.values() for at in (0, 1)))
                for k, layer in enumerate(layers)
            ],
        ),
        conclusions=[
            Conclusion(
                "large steps leave ReLU units dead: silent on every sample",
                f"{before['relu'].mean():.0%} of the units at the start, {after['relu'].mean():.0%} at the end",
                bool(after["relu"].mean() > before["relu"].mean() + 0.1),
            ),
            Conclusion(
                "no gradient comes through a silent ReLU unit, one does through every silent LeakyReLU unit",
                f"share with a gradient: ReLU {lost:.0%} at most, LeakyReLU {kept:.0%} at least",
                lost == 0 and kept == 1,
            ),
            Conclusion(
                "fewer LeakyReLU units end silent",
                f"{after['leaky_relu'].mean():.0%} against {after['relu'].mean():.0%}; training accuracy "
                f"{accuracy['leaky_relu']:.0%} against {accuracy['relu']:.0%}",
                bool(after["leaky_relu"].mean() < after["relu"].mean()),
            ),
        ],
        figures={"dead_units": draw(layers, before, after)},
        captions={"dead_units": "Share of units that are silent on every sample, per layer, before and after training."},
    )


def silence(overrides: Sequence[str], seed: int, network: MLP) -> Silence:
    """On the samples that it was trained on."""
    data, _, objective, _ = built(seed, *overrides)
    batch, hidden = data.sample(SAMPLES), []
    x = batch.inputs.double().flatten(1)
    for block in network.blocks:
        h = block.get_submodule("linear")(x)
        h.retain_grad()
        hidden.append(h)
        x = block.get_submodule("activation")(h) if block is not network.blocks[-1] else h
    objective.loss(x, batch.targets).backward()  # type: ignore[no-untyped-call]
    silent = [(h <= 0).all(0) for h in hidden[:-1]]
    through = [(h.grad != 0).any(0) for h in hidden[:-1] if h.grad is not None]
    network.zero_grad()
    shares = [float(s.double().mean()) for s in silent]
    moved = [float(t[s].double().mean()) if s.any() else 0.0 for s, t in zip(silent, through, strict=True)]
    return Silence(np.array(shares), np.array(moved))


def draw(layers: Sequence[str], before: dict[str, Shares], after: dict[str, Shares]) -> Figure:
    figure = new_figure("Dead units: ReLU against LeakyReLU")
    axes = figure.subplots()
    at = np.arange(len(layers))
    bars = [(name, when, shares) for name in before for when, shares in (("start", before[name]), ("end", after[name]))]
    for k, (name, when, shares) in enumerate(bars):
        colour = COLOURS[0] if name == "relu" else COLOURS[1]
        hatch = "//" if when == "start" else ""
        axes.bar(
            at + 0.2 * (k - 1.5),
            100 * shares,
            0.18,
            color=colour,
            alpha=0.45 if hatch else 1,
            hatch=hatch,
            label=f"{name}, {when}",
        )
    dress(axes, "layer", "silent units in %", xticks=at, xticklabels=layers, ylim=(0, None))
    figure.legend(fontsize=TICK, loc="outside lower center", ncols=4, frameon=False)
    return figure
