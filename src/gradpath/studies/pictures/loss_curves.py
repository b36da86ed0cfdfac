"""Loss curves of several settings in one picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from gradpath.studies.pictures.style import COLOURS, DASHES, TICK, dress, new_figure

Curve = npt.NDArray[np.float64]
# The axis ends near the largest loss, but at most near ABOVE times the largest first loss. It begins at BELOW times the
# lowest first or last loss.
ABOVE, BELOW = 1e3, 0.5
# The largest number of points to which a curve is smoothed.
POINTS = 60


@dataclass(frozen=True)
class Line:
    """One setting with its loss curves.

    curves: one per seed, (steps,), the loss before each step, all finite. A shorter curve ends where the run diverged.
    """

    label: str
    curves: Sequence[Curve]


def loss_curves(lines: Sequence[Line], steps: int, title: str, levels: Mapping[str, float] | None = None) -> Figure:
    """Draws the loss of several settings over the steps, on two logarithmic axes.

    A faint line is the first seed, not smoothed. A strong line is the geometric mean over the seeds of medians over bins of
    steps. A cross marks where a run met NaN or Inf.

    Args:
        lines: at most as many as there are colours.
        steps: the length of the curve of a run that did not diverge.
        levels: name -> a loss that is marked by a horizontal line.
    """
    figure = new_figure(title, height=5.6)
    axes = figure.subplots()
    starts = [curve[0] for line in lines for curve in line.curves]
    ends = [smoothed(curve)[1][-1] for line in lines for curve in line.curves if len(curve) == steps]
    peaks = [float(curve.max()) for line in lines for curve in line.curves]
    low, high = BELOW * min([*ends, *starts]), 1.5 * min(max(peaks), ABOVE * max(starts))
    for line, colour, dashes in zip(lines, COLOURS[: len(lines)], DASHES[: len(lines)], strict=True):
        first = line.curves[0]
        axes.plot(np.arange(1, len(first) + 1), first.clip(low, high), color=colour, alpha=0.25, linewidth=0.8)
        whole = [smoothed(curve) for curve in line.curves if len(curve) == steps]
        label: str | None = line.label
        if whole:
            at, logs = whole[0][0], [np.log(np.maximum(values, low / 10)) for _, values in whole]
            mean = np.exp(np.mean(logs, axis=0)).clip(low, high)
            axes.plot(at, mean, color=colour, linestyle=dashes, linewidth=2.8, label=label)
            label = None
        for curve in line.curves:
            if len(curve) < steps:
                last = min(max(float(curve[-1]), low), high / 1.3)
                axes.plot(
                    [len(curve)], [last], marker="X", markersize=13, color=colour, markeredgecolor="black",
                    linestyle="none", label=label, zorder=5,
                )  # fmt: skip
                label = None
    for name, loss in (levels or {}).items():
        axes.axhline(loss, color="0.55", linewidth=6, alpha=0.5, zorder=0)
        axes.annotate(name, (0.97 * steps, 0.88 * loss), fontsize=TICK, color="0.3", ha="right", va="top")
    dress(axes, "step", "training loss", xscale="log", yscale="log", ylim=(low, high), xlim=(1, steps))
    figure.legend(fontsize=TICK, loc="outside lower center", ncols=2, frameon=False)
    return figure


def smoothed(curve: Curve) -> tuple[Curve, Curve]:
    """Steps and median losses of bins that are equally wide on a logarithmic axis, (bins,) each; at most POINTS bins."""
    edges = np.unique(np.geomspace(1, len(curve) + 1, POINTS + 1).astype(int))
    bins = list(pairwise(edges))
    at = np.array([(a * (b - 1)) ** 0.5 for a, b in bins])
    return at, np.array([np.median(curve[a - 1 : b - 1]) for a, b in bins])
