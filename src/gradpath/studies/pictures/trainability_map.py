"""The picture of how deep a network still trains: accuracy over sigma_w^2 and depth, with theory's limit as a line."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator, NullLocator, PercentFormatter

from gradpath.theory.quadrature import Array

# The accuracy of guessing one of ten digits.
CHANCE = 0.1


def trainability(
    sigma_w2: Array, depths: Array, accuracy: Array, curve: tuple[Array, Array], critical: float, caption: str
) -> Figure:
    """Draws test accuracy in colour, 6 xi_c as a white line and the edge of chaos as a dotted line.

    Args:
        sigma_w2: (W,), ascending.
        depths: (D,), ascending.
        accuracy: (D, W), in [0, 1]; NaN where training diverged, which is drawn in grey.
        curve: sigma_w^2 and 6 xi_c in layers, (N,) each for any N.
        critical: sigma_w^2 at the edge of chaos.
        caption: the setting, written below the title.
    """
    figure = Figure(figsize=(7.6, 5.2), dpi=140, layout="constrained")
    axes = figure.subplots()
    top = np.ceil(10 * np.nanmax(accuracy, initial=2 * CHANCE)) / 10
    columns, rows = borders(sigma_w2), np.exp(borders(np.log(depths)))
    drawn = axes.pcolormesh(columns, rows, accuracy, cmap="viridis", vmin=CHANCE, vmax=top)
    axes.set_facecolor("0.75")
    outline = [withStroke(linewidth=5.5, foreground="black")]
    axes.plot(*curve, color="white", linewidth=3, path_effects=outline, label=r"theory's limit, $6\,\xi_c$ layers")
    axes.axvline(
        critical, color="black", linewidth=2.5, linestyle=":", label=rf"edge of chaos, $\sigma_w^2 = {critical:.2f}$"
    )
    axes.set(yscale="log", xlim=columns[[0, -1]], ylim=rows[[0, -1]])
    axes.yaxis.set_major_locator(FixedLocator(list(depths)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda depth, _: f"{depth:g}")
    axes.set_xlabel(r"$\sigma_w^2$, variance of the weights times fan-in", fontsize=13)
    axes.set_ylabel("hidden layers", fontsize=13)
    axes.set_title(caption, fontsize=11)
    figure.suptitle("How deep a network still trains", fontsize=16)
    axes.tick_params(labelsize=12)
    bar = figure.colorbar(drawn, ax=axes, format=PercentFormatter(1, decimals=0))
    bar.set_label("test accuracy (10 % is chance)", fontsize=13)
    bar.ax.tick_params(labelsize=12)
    figure.legend(fontsize=12, loc="outside lower center", ncols=2, frameon=False)
    return figure


def borders(centres: Array) -> Array:
    """The borders of cells around `centres`, halfway between neighbours: (N + 1,) for centres of shape (N,)."""
    middle = (centres[1:] + centres[:-1]) / 2
    ends = centres[0] - (middle[0] - centres[0]), centres[-1] + (centres[-1] - middle[-1])
    return np.concatenate([ends[:1], middle, ends[1:]])
