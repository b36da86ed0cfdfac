"""The look of the studies' pictures: legible in a README, in colours that colour-blind readers can tell apart."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe & Ito 2008, without yellow, which is too faint for lines.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# With different dashes, lines that lie on one another can still be told apart.
DASHES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (3, 3)), (0, (1, 2)), "-", (0, (6, 2)), (0, (3, 3)))
LABEL, TICK, TITLE = 13, 12, 16


def new_figure(title: str, width: float = 7.6, height: float = 5.2, dpi: int = 140) -> Figure:
    """An empty figure with a title; `width` and `height` in inches."""
    figure = Figure(figsize=(width, height), dpi=dpi, layout="constrained")
    figure.suptitle(title, fontsize=TITLE)
    return figure


def dress(axes: Axes, x: str, y: str, title: str = "", **settings: Any) -> None:
    """Gives the axes their titles (with units), tick sizes and a light grid. `settings` are passed on to `Axes.set`."""
    axes.set(**settings)
    axes.set_xlabel(x, fontsize=LABEL)
    axes.set_ylabel(y, fontsize=LABEL)
    if title:
        axes.set_title(title, fontsize=LABEL)
    axes.tick_params(labelsize=TICK)
    axes.grid(visible=True, alpha=0.3)
