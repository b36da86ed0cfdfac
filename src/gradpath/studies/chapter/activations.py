"""Activations and their derivatives, with the zones in which little or no gradient comes back (C8)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from torch import nn

from gradpath.config.composition import CONF
from gradpath.config.targets import activation_named
from gradpath.studies.chapter.study import Conclusion, Study, Table
from gradpath.studies.pictures.style import COLOURS, TICK, dress, new_figure
from gradpath.theory.moments import D

Curve = npt.NDArray[np.float64]
Zone = npt.NDArray[np.bool_]
# An activation is flat where its slope is below this share of the steepest, and dead where its slope is 0.
FLAT = 0.03
RANGE, POINTS, COLUMNS = 6.0, 1201, 5


@dataclass(frozen=True)
class Shape:
    """An activation and its derivative at POINTS equally spaced points of [-6, 6].

    h: (POINTS,), the points.
    value: (POINTS,), phi(h).
    slope: (POINTS,), phi'(h) by autograd.
    kept: E phi'(z)^2 for z ~ N(0, 1), the share of |delta|^2 that one layer keeps at sigma_w^2 = 1.
    dead: (POINTS,), where phi' is 0.
    flat: (POINTS,), where |phi'| is not 0 but below FLAT times its largest value.
    """

    h: Curve
    value: Curve
    slope: Curve
    kept: float

    @property
    def dead(self) -> Zone:
        return np.equal(self.slope, 0)

    @property
    def flat(self) -> Zone:
        flat: Zone = np.less(np.abs(self.slope), FLAT * np.abs(self.slope).max()) & ~self.dead
        return flat


def activations(quick: bool = False) -> Study:
    """Compares every option of the `activation` group. Nothing is trained, so `quick` changes nothing."""
    shapes = {path.stem: shape(activation_named(path.stem)) for path in sorted((CONF / "activation").glob("*.yaml"))}
    steepest = {name: float(np.abs(one.slope).max()) for name, one in shapes.items()}
    relu, leaky, left = shapes["relu"], shapes["leaky_relu"], shapes["relu"].h < 0
    both = [name for name, one in shapes.items() if (one.flat | one.dead)[0] and (one.flat | one.dead)[-1]]
    return Study(
        setting="phi and phi' of each option on [-6, 6], the derivative by autograd. Flat: a slope below "
        f"{FLAT:.0%} of the steepest; dead: 0. E phi'(z)^2: for z from N(0, 1).",
        table=Table(
            ("activation", "steepest", "E phi'(z)^2", "flat", "dead"),
            [
                (name, f"{steepest[name]:.3g}", f"{one.kept:.4f}", _zone(one, one.flat), _zone(one, one.dead))
                for name, one in shapes.items()
            ],
        ),
        conclusions=[
            Conclusion(
                "the sigmoid's slope is at most 1/4: a layer keeps less than a sixteenth of |delta|^2 at sigma_w^2 = 1",
                f"largest slope {steepest['sigmoid']:.4f}, E phi'(z)^2 = {shapes['sigmoid'].kept:.4f}",
                abs(steepest["sigmoid"] - 0.25) < 1e-6 and shapes["sigmoid"].kept < 1 / 16,
                supports=f"the sigmoid's slope is {steepest['sigmoid']:.2f} at most",
            ),
            Conclusion(
                "sigmoid, tanh, erf and hardtanh are flat or dead at both ends, and no other",
                ", ".join(both),
                set(both) == {"sigmoid", "tanh", "erf", "hardtanh"},
            ),
            Conclusion(
                "ReLU is dead for every negative h, LeakyReLU keeps a slope of 0.01",
                f"slopes there: ReLU {relu.slope[left].max():g}, LeakyReLU {leaky.slope[left].min():g}",
                bool((relu.slope[left] == 0).all()) and np.allclose(leaky.slope[left], 0.01),
                supports=f"for negative h ReLU's is {relu.slope[left].max():g}, LeakyReLU's {leaky.slope[left].min():g}",
            ),
            Conclusion(
                "GELU, SiLU and Mish dip below 0 and bend: their slope is negative somewhere",
                ", ".join(f"{name} {shapes[name].slope.min():.3f}" for name in ("gelu", "silu", "mish")),
                all(shapes[name].slope.min() < -0.05 for name in ("gelu", "silu", "mish")),
            ),
        ],
        figures={"activations": draw(shapes)},
        captions={"activations": "Each activation and its derivative; shaded: flat, hatched: dead."},
    )


def shape(phi: nn.Module) -> Shape:
    h = torch.linspace(-RANGE, RANGE, POINTS, dtype=torch.float64, requires_grad=True)
    value = phi(h)
    (slope,) = torch.autograd.grad(value.sum(), h)
    return Shape(h.detach().numpy().round(9), value.detach().numpy(), slope.numpy(), D(phi, 1.0))


def draw(shapes: Mapping[str, Shape]) -> Figure:
    """Draws a small panel for each activation, all on one scale."""
    figure = new_figure("Activations and their derivatives", 11.0, 7.4)
    panels = figure.subplots(-(-len(shapes) // COLUMNS), COLUMNS, sharex=True, sharey=True)
    for axes in panels.flat[len(shapes) :]:
        axes.set_visible(False)
    for place, (axes, (name, one)) in enumerate(zip(panels.flat, shapes.items(), strict=False)):
        _panel(axes, one)
        last_row = place + COLUMNS >= len(shapes)
        dress(
            axes,
            "h" if last_row else "",
            "value" if place % COLUMNS == 0 else "",
            name,
            xlim=(-RANGE, RANGE),
            ylim=(-1.5, 2.5),
        )
        axes.tick_params(labelbottom=last_row)
    handles = [
        *panels.flat[0].lines[:2],
        Patch(color="0.85", label="flat"),
        Patch(facecolor="white", hatch="///", edgecolor="0.6", label="dead"),
    ]
    figure.legend(handles=handles, fontsize=TICK, loc="outside lower center", ncols=4, frameon=False)
    return figure


def _panel(axes: Axes, one: Shape) -> None:
    axes.plot(one.h, one.value, color=COLOURS[0], linewidth=2.5, label="phi(h)")
    axes.plot(one.h, one.slope, color=COLOURS[1], linewidth=2.5, linestyle="--", label="phi'(h)")
    axes.fill_between(one.h, 0, 1, where=one.flat.tolist(), color="0.85", transform=axes.get_xaxis_transform())
    axes.fill_between(
        one.h, 0, 1, where=one.dead.tolist(), facecolor="none", edgecolor="0.6", hatch="///", linewidth=0,
        transform=axes.get_xaxis_transform(),
    )  # fmt: skip


def _zone(one: Shape, where: Zone) -> str:
    """The intervals of h in which `where` holds, from left to right: `h < -3.5, 0.1 < h < 0.3, h > 3.5`."""
    if where.all():
        return "everywhere"
    edges = np.flatnonzero(np.diff(where.astype(int))) + 1
    parts = []
    for begin, end in zip([0, *edges], [*edges, len(where)], strict=True):
        if where[begin]:
            left, right = one.h[begin] + 0.0, one.h[end - 1] + 0.0
            low = f"{left:.2g} < " if begin > 0 else ""
            parts.append(f"h > {left:.2g}" if end == len(where) else f"{low}h < {right:.2g}")
    return ", ".join(parts)
