"""Draws depth against step: how large the gradient was in each layer while a run trained."""

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gradpath.flow.record import Record
from gradpath.verdict.gradient_class import EXPLODING, VANISHING

# The picture has at most this many columns; of more steps, evenly spaced ones are drawn.
COLUMNS = 400


def heatmap(record: Record) -> Figure:
    """Draws |delta| of every hidden layer over the steps, relative to the last hidden layer, beside its profile over depth.

    A layer is blue where the gradient has shrunk on its way to the input, red where it has grown, and white where it is the
    same.
    """
    index = record.quantities.index("delta")
    kept = np.unique(np.linspace(0, len(record.steps) - 1, min(len(record.steps), COLUMNS)).astype(int))
    steps = np.array(record.steps)[kept]
    delta = np.stack([record.rows[k][index] for k in kept])
    hidden = delta[:, :-1] if delta.shape[1] > 1 else delta
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = hidden / hidden[:, -1:]
    layers = np.arange(1, hidden.shape[1] + 1)
    figure = Figure(figsize=(7.2, 3.4), dpi=140, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(2, 1), sharey=True)
    seen = relative[np.isfinite(relative) & (relative > 0)]
    reach = max(EXPLODING, 1 / VANISHING, *([seen.max(), 1 / seen.min()] if len(seen) else []))
    edges = np.append(steps, steps[-1] + (steps[-1] - steps[-2] if len(steps) > 1 else 1)) - 0.5
    drawn = left.pcolormesh(
        edges, np.append(layers, layers[-1] + 1) - 0.5, relative.T, cmap="RdBu_r", norm=LogNorm(1 / reach, reach)
    )
    left.set_facecolor("0.75")
    left.set(xlabel="step", ylabel="hidden layer (input below)", title="|delta| relative to the last hidden layer")
    left.yaxis.set_major_locator(MaxNLocator(integer=True))
    figure.colorbar(drawn, ax=left, label="ratio")
    for place, color in ((0, "0.6"), (-1, "black")):
        right.plot(
            relative[place], layers, marker="." if len(layers) < 40 else None, color=color, label=f"step {steps[place]}"
        )
    predicted = record.lines.get("theory_delta", np.zeros(len(layers)))[: len(layers)]
    if 0 < predicted[-1] < np.inf:
        # The line of mean-field theory, and the band in which at least 95 of 100 networks start.
        low, high = record.lines["theory_delta_band"][:, : len(layers)] / predicted[-1]
        right.fill_betweenx(layers, low, high, color="tab:orange", alpha=0.25, linewidth=0)
        right.plot(predicted / predicted[-1], layers, "--", color="tab:orange", label="theory")
    for limit in (VANISHING, EXPLODING):
        right.axvline(limit, color="0.8", linewidth=1, linestyle="--")
    right.set(xscale="log", xlabel="ratio", title="over depth", xlim=(1 / reach / 2, reach * 2))
    right.legend(frameon=False)
    return figure
