"""Exclusive or: a perceptron cannot learn it, and a network with one hidden layer can (C1, C2)."""

from math import log

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from torch import Tensor

from gradpath.data.xor import CORNERS, LABELS
from gradpath.model.network import MLP
from gradpath.studies.chapter.full_batch import Trained, train
from gradpath.studies.chapter.study import Conclusion, Study, Table
from gradpath.studies.papers.exclusive_or import PLATEAUS
from gradpath.studies.pictures.style import COLOURS, TICK, dress, new_figure

ADAM = ("data=xor", "optimizer=adam", "optimizer.lr=0.02")
NETWORKS = {
    "perceptron": (*ADAM, "model=perceptron"),
    "linear, 8 hidden": (*ADAM, "model.hidden=[8]", "activation=identity", "init=xavier_normal"),
    "tanh, 8 hidden": (*ADAM, "model.hidden=[8]", "activation=tanh", "init=xavier_normal"),
}
SMALLEST = (*ADAM, "model.hidden=[2]", "activation=relu", "init=pytorch")
# The losses at which a network of two ReLU units can come to rest: the plateaus of the papers' claims, and the solution.
RESTS = {**PLATEAUS, "solved": 0.0}
# A loss counts as being at one of RESTS if it is this near.
NEAR = 0.02
# A network small enough to be drawn whole. Its loss stays near ln 2 for a while before it falls.
FILMED = (*ADAM, "model.hidden=[2]", "activation=tanh", "init=xavier_normal")
# The steps that the film shows, and those that the picture of its moments shows.
FILM = tuple(range(0, 401, 8))
FRAMES = (0, 40, 200, 232, 264, 400)


def xor(quick: bool = False) -> Study:
    """Draws decision regions, the hidden features as they are learnt, and the losses where the smallest network rests."""
    steps, starts = (600, 8) if quick else (3000, 24)
    trained = {
        name: [train(seed, overrides, steps, films=(0,)) for seed in range(3)] for name, overrides in NETWORKS.items()
    }
    film = first_solved()
    small = [train(seed, SMALLEST, steps) for seed in range(starts)]
    rests = [rest(float(one.losses[-1])) for one in small]
    linear = [one for name in ("perceptron", "linear, 8 hidden") for one in trained[name]]
    ends = [float(one.losses[-1]) for one in linear]
    off = max(abs(float(p) - 0.5) for one in linear for p in probabilities(one.network, CORNERS))
    solved = trained["tanh, 8 hidden"]
    rows = [_row(name, many) for name, many in [*trained.items(), ("ReLU, 2 hidden", small)]]
    return Study(
        setting=f"Adam on the four points, {steps} steps, float64; 3 seeds, {starts} of the smallest network.",
        table=Table(("network", "loss at the end", "accuracy"), rows),
        conclusions=[
            Conclusion(
                "without a nonlinear hidden layer the loss sticks at ln 2, p at 1/2, accuracy at 75 % or below",
                f"loss {min(ends):.4f} to {max(ends):.4f} (ln 2 = {log(2):.4f}), |p - 1/2| at most {off:.2g}, "
                f"accuracy at most {max(one.accuracy for one in linear):.0%}",
                max(abs(end - log(2)) for end in ends) < 2e-3 and off < 0.05 and max(one.accuracy for one in linear) <= 0.75,
                supports=f"linear ones get {max(one.accuracy for one in linear):.0%} of the points at most",
            ),
            Conclusion(
                "one hidden layer of 8 tanh units classifies all four points",
                f"accuracy {min(one.accuracy for one in solved):.0%} with each of {len(solved)} seeds",
                all(one.accuracy == 1 for one in solved),
                supports=f"a hidden layer of 8 tanh units gets {min(one.accuracy for one in solved):.0%}",
            ),
            Conclusion(
                "two ReLU units come to rest at ln 2, 3/4 H(1/3) = 0.4774, ln 2 / 2 = 0.3466, or at the solution",
                ", ".join(f"{name}: {rests.count(name)}" for name in [*RESTS, "elsewhere"] if rests.count(name)),
                rests.count("elsewhere") <= len(rests) // 8
                and rests.count("solved") > 0
                and len(set(rests) & set(PLATEAUS)) > 0,
            ),
            Conclusion(
                "a perceptron's gradient is dL/dw = mean (p - y) x",
                f"autograd differs by at most {gradient_gap(trained['perceptron'][0].films[0]):.1g}",
                gradient_gap(trained["perceptron"][0].films[0]) < 1e-12,
            ),
        ],
        figures={
            "xor": draw_regions({name: many[0] for name, many in trained.items()}),
            "xor_moments": draw_moments(film),
            "xor_plateaus": draw_plateaus(small),
        },
        captions={
            "xor": "Probability of class 1 and the line p = 1/2 after training; of the linear ones p is 1/2 everywhere.",
            "xor_moments": "Two tanh units learn: what they decide (yellow: class 1), how they see the points.",
            "xor_film": "The same as a film, of the first seed to solve it: the loss waits till a line can part the points.",
            "xor_plateaus": "Loss of networks of two ReLU units, each from its own start; grey: the plateaus of theory.",
        },
        films={"xor_film": [draw_frame(film, step) for step in (FILM[::5] if quick else FILM)]},
    )


def first_solved() -> Trained:
    """Trains the film's network with the first of 20 seeds that solves XOR within the film, or the last if none does."""
    for seed in range(20):
        film = train(seed, FILMED, FILM[-1], films=FILM)
        if film.accuracy == 1:
            break
    return film


def rest(loss: float) -> str:
    """The name in RESTS of the value that `loss` is at, or "elsewhere"."""
    name = min(RESTS, key=lambda known: abs(RESTS[known] - loss))
    return name if abs(RESTS[name] - loss) < NEAR else "elsewhere"


@torch.no_grad()
def probabilities(network: MLP, points: Tensor) -> Tensor:
    """The probability of class 1 at each point, (N,). `points`: (N, 2)."""
    return torch.sigmoid(network(points.double())).squeeze(1)


def gradient_gap(network: MLP) -> float:
    """The largest difference between autograd's gradient of a perceptron and the closed form, mean (p - y) (x, 1)."""
    (linear,) = network.linears
    x, y = CORNERS.double(), LABELS.double()
    loss = torch.nn.functional.binary_cross_entropy_with_logits(network(x).squeeze(1), y)
    dw, db = torch.autograd.grad(loss, [linear.weight, linear.bias])
    error = probabilities(network, CORNERS) - y
    return max(float((dw - (error[:, None] * x).mean(0)).abs().max()), float((db - error.mean()).abs().max()))


def draw_regions(trained: dict[str, Trained]) -> Figure:
    figure = new_figure("XOR: a line does not separate it", 10.0, 4.2)
    panels = figure.subplots(1, len(trained), sharey=True)
    for k, (axes, (name, one)) in enumerate(zip(panels, trained.items(), strict=True)):
        drawn = _region(axes, one.network)
        dress(axes, "x1", "x2" if k == 0 else "", f"{name}: {one.accuracy:.0%}", xlim=(-0.5, 1.5), ylim=(-0.5, 1.5))
    bar = figure.colorbar(drawn, ax=panels, ticks=[0, 0.5, 1], shrink=0.75)
    _legend(figure, panels[0])
    bar.set_label("probability of class 1", fontsize=TICK)
    return figure


def draw_moments(one: Trained) -> Figure:
    figure = new_figure("XOR: one hidden layer learns to bend the plane", 13.0, 5.4)
    panels = figure.subplots(2, len(FRAMES), squeeze=False)
    for k, step in enumerate(FRAMES):
        _inputs(panels[0, k], one.films[step], f"step {step}")
        _features(panels[1, k], one, step)
    for axes in panels[:, 1:].flat:
        axes.set_ylabel("")
    _legend(figure, panels[0, 0])
    return figure


def draw_frame(one: Trained, step: int) -> Figure:
    """Draws one frame of the film: the plane of the inputs, the plane of the two hidden units, and the loss so far."""
    figure = new_figure(f"XOR: one hidden layer, step {step}", 11.0, 4.2, dpi=80)
    plane, features, losses = figure.subplots(1, 3)
    _inputs(plane, one.films[step], "what it decides")
    _features(features, one, step, "what its hidden layer sees")
    losses.plot(one.losses[: FILM[-1] + 1], color="0.8", linewidth=2)
    losses.plot(one.losses[: step + 1], color=COLOURS[0], linewidth=3)
    losses.plot([step], [one.losses[step]], "o", color=COLOURS[0], markersize=10)
    dress(losses, "step", "training loss", f"loss {one.losses[step]:.3f}", ylim=(0, 1.1 * one.losses.max()))
    _legend(figure, plane)
    return figure


def _inputs(axes: Axes, network: MLP, title: str) -> None:
    _region(axes, network)
    dress(axes, "x1", "x2", title, xlim=(-0.5, 1.5), ylim=(-0.5, 1.5))


def _features(axes: Axes, one: Trained, step: int, title: str = "") -> None:
    """Draws the four points in the plane of the two hidden units, and the output's line p = 1/2."""
    network, edge = one.films[step], np.array([-1.15, 1.15])
    with torch.no_grad():
        _points(axes, network.blocks[0](CORNERS.double()).numpy())
    (a, b), c = network.linears[-1].weight.detach().squeeze(0).tolist(), float(network.linears[-1].bias.detach())
    # The point of the line a x + b y + c = 0 that is nearest to 0, and the line's direction.
    near, along = -c / (a * a + b * b) * np.array([a, b]), np.array([-b, a]) / np.hypot(a, b)
    axes.plot(*(near[:, None] + 3 * edge * along[:, None]), color="black", linewidth=2)
    dress(axes, "hidden unit a", "hidden unit b", title, xlim=(-1.15, 1.15), ylim=(-1.15, 1.15))


def draw_plateaus(small: list[Trained]) -> Figure:
    figure = new_figure("Two ReLU units: where the loss comes to rest")
    axes = figure.subplots()
    for name, loss in PLATEAUS.items():
        axes.axhline(loss, color="0.55", linewidth=5, alpha=0.6, zorder=0)
        place = len(small[0].losses) * 0.95, loss + 0.008
        axes.annotate(f"{name} = {loss:.4f}", place, fontsize=TICK, color="0.3", ha="right")
    for k, one in enumerate(small):
        axes.plot(np.arange(1, len(one.losses) + 1), one.losses, color=COLOURS[k % len(COLOURS)], linewidth=1.6)
    dress(axes, "step", "training loss", xscale="log", xlim=(1, len(small[0].losses)), ylim=(-0.02, 0.9))
    return figure


def _legend(figure: Figure, axes: Axes) -> None:
    figure.legend(*axes.get_legend_handles_labels(), fontsize=TICK, loc="outside lower center", ncols=2, frameon=False)


def _region(axes: Axes, network: MLP) -> ContourSet:
    grid = torch.linspace(-0.5, 1.5, 101)
    points = torch.cartesian_prod(grid, grid)
    p = probabilities(network, points).reshape(101, 101).T.numpy()
    x = grid.numpy()
    drawn = axes.contourf(x, x, p, levels=np.linspace(0, 1, 21), cmap="cividis")
    # If p is 1/2 everywhere, the line p = 1/2 would only show rounding errors.
    if np.ptp(p) > 1e-3:
        axes.contour(x, x, p, levels=[0.5], colors="white", linewidths=2)
    _points(axes, CORNERS.numpy())
    axes.set_aspect("equal")
    return drawn


def _points(axes: Axes, places: np.ndarray) -> None:
    for label, marker, colour in ((0, "o", "#56B4E9"), (1, "^", "#E69F00")):
        chosen = LABELS.numpy() == label
        axes.plot(
            *places[chosen].T, marker, color=colour, markersize=13, markeredgecolor="black", zorder=5, label=f"class {label}"
        )


def _row(name: str, many: list[Trained]) -> tuple[str, ...]:
    ends = [one.losses[-1] for one in many]
    right = [one.accuracy for one in many]
    return name, f"{min(ends):.4f} to {max(ends):.4f}", f"{min(right):.0%} to {max(right):.0%}"
