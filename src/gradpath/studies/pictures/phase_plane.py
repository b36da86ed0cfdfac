"""The picture of the plane of sigma_w^2 and sigma_b^2: order, chaos, and where initialisations lie."""

from collections.abc import Mapping
from itertools import chain

import numpy as np
import numpy.typing as npt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from numpy.lib.stride_tricks import sliding_window_view

from gradpath.theory.quadrature import Array

# Depth scales in layers. The colours run from the first to the last.
TICKS = (1, 3, 10, 30, 100)
MARKERS = "osD^v"
# The forms of a phase's label, the longest first: whether it is written in full, its rotation in degrees, and the shares of
# the plane's width and height that it needs.
FORMS = ((True, 0, 0.40, 0.17), (False, 0, 0.22, 0.09), (False, 90, 0.07, 0.34))
# The share of the plane's height, from the bottom, that the marks may cover.
MARKED = 0.08


def phase_diagram(
    name: str,
    sigma_w2: Array,
    sigma_b2: Array,
    chi_1: Array,
    xi_c: Array,
    edge: Array,
    marks: Mapping[str, tuple[float, float]],
) -> Figure:
    """Draws xi_c in colour, the edge of chaos as a black line, and the part without a fixed point hatched.

    Args:
        name: of the activation, for the title.
        sigma_w2: (W,), ascending, in equal steps or equal ratios.
        sigma_b2: (B,), ascending.
        chi_1, xi_c: (B, W); xi_c in layers, NaN where the length map has no finite fixed point.
        edge: (B,), sigma_w^2 where chi_1 = 1, or NaN.
        marks: name of an initialisation -> (sigma_w^2, sigma_b^2).
    """
    figure = Figure(figsize=(7.6, 5.6), dpi=140, layout="constrained")
    axes = figure.subplots()
    logarithmic = not np.isclose(sigma_w2[1] - sigma_w2[0], sigma_w2[-1] - sigma_w2[-2])
    axes.set(xscale="log" if logarithmic else "linear", xlim=sigma_w2[[0, -1]], ylim=sigma_b2[[0, -1]])
    colours = LogNorm(TICKS[0], TICKS[-1])
    drawn = axes.pcolormesh(sigma_w2, sigma_b2, xi_c, cmap="viridis", norm=colours, shading="nearest")
    bar = figure.colorbar(drawn, ax=axes, extend="both", ticks=TICKS, format="%g")
    bar.minorticks_off()
    bar.set_label(r"depth scale $\xi_c$ in layers", fontsize=13)
    bar.ax.tick_params(labelsize=12)
    handles = [*_hatch(axes, np.isnan(xi_c)), *_edge(axes, edge, sigma_b2), *_marks(axes, marks)]
    grows, endless = chi_1 >= 1, np.isnan(xi_c)
    for text, where in (
        ("ordered\ngradients vanish", ~grows & ~endless),
        ("chaotic\ngradients explode", grows & ~endless),
        ("unbounded\ngradients explode", grows & endless),
    ):
        _label(axes, text, sigma_w2, sigma_b2, where)
    axes.set_xlabel(r"$\sigma_w^2$, variance of the weights times fan-in", fontsize=13)
    axes.set_ylabel(r"$\sigma_b^2$, variance of the biases", fontsize=13)
    axes.tick_params(labelsize=12)
    figure.suptitle(f"{name}: order and chaos at initialisation", fontsize=16)
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=11, frameon=False)
    return figure


def _hatch(axes: Axes, nowhere: npt.NDArray[np.bool_]) -> list[Patch]:
    """Hatches the part of the plane that has no colour, if there is any. Returns its entry for the legend."""
    if not nowhere.any():
        return []
    axes.set_facecolor("0.85")
    axes.patch.set(hatch="//", edgecolor="0.6")
    return [Patch(facecolor="0.85", edgecolor="0.6", hatch="//", label=r"no fixed point: $q^* = \infty$")]


def _edge(axes: Axes, edge: Array, sigma_b2: Array) -> list[Artist]:
    if np.isnan(edge).all():
        return []
    label = r"edge of chaos, $\chi_1 = 1$"
    return [*axes.plot(edge, sigma_b2, color="black", linewidth=3.5, label=label)]


def _marks(axes: Axes, marks: Mapping[str, tuple[float, float]]) -> list[Artist]:
    """Draws a symbol for every initialisation. Most lie on the lower axis, so that half of the symbol is below the plane."""
    return [
        *chain.from_iterable(
            axes.plot(
                *place, marker, color="white", markeredgecolor="black", markersize=11, clip_on=False, zorder=5, label=name
            )
            for marker, (name, place) in zip(MARKERS, marks.items(), strict=False)
        )
    ]


def _label(axes: Axes, text: str, sigma_w2: Array, sigma_b2: Array, phase: npt.NDArray[np.bool_]) -> None:
    """Writes the name of a phase where it has most room, in the longest form that fits; writes nothing if none fits."""
    # The marks stand on the lower border, so labels keep clear of it.
    free = phase.copy()
    free[: round(MARKED * len(phase))] = False
    fitting = (
        (form, place)
        for form in FORMS
        if (place := _roomiest(free, (max(1, round(form[3] * len(phase))), max(1, round(form[2] * phase.shape[1])))))
    )
    found = next(fitting, None)
    if found is None:
        return
    (whole, rotation, *_), place = found
    axes.text(
        sigma_w2[place[1]],
        sigma_b2[place[0]],
        text if whole else text.partition("\n")[0],
        rotation=rotation,
        color="white",
        fontsize=14,
        fontweight="bold",
        ha="center",
        va="center",
        path_effects=[withStroke(linewidth=3, foreground="black")],
    )


def _roomiest(phase: npt.NDArray[np.bool_], box: tuple[int, int]) -> tuple[int, int] | None:
    """The middle (row, column) of the largest rectangle within the phase; None if not even `box` fits.

    Args:
        phase: (B, W), True where the plane belongs to the phase.
        box: the smallest rectangle, (height, width) in cells; larger ones have the same proportions.
    """
    place = None
    for factor in np.arange(1.0, 4.0, 0.1):
        height, width = (round(factor * side) for side in box)
        if height > phase.shape[0] or width > phase.shape[1]:
            break
        inside = sliding_window_view(phase, (height, width)).all((2, 3))
        if not inside.any():
            break
        # If there are several such rectangles, take the one nearest to their middle.
        fits = np.argwhere(inside)
        row, column = fits[np.abs(fits - fits.mean(0)).sum(1).argmin()]
        place = (int(row) + height // 2, int(column) + width // 2)
    return place
