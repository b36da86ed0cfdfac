"""Curves for a report: the epochs of a run, fewer of them if there are many, from its `metrics.csv`."""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from io import TextIOWrapper
from pathlib import Path

from gradpath.files import CURVES, open_regular

LOSSES = ("val/loss", "train/loss_epoch")
Curve = dict[int, float]


def epochs(folder: Path) -> dict[str, Curve]:
    """The losses of a run: name -> epoch -> its last value there. A file that is missing or damaged has none."""
    found: dict[str, Curve] = {name: {} for name in LOSSES}
    try:
        with TextIOWrapper(open_regular(folder / CURVES), newline="", encoding="utf-8") as file:
            rows = csv.reader(file)
            names = next(rows, [])
            if "epoch" not in names:
                return found
            at, places = names.index("epoch"), [(name, names.index(name)) for name in LOSSES if name in names]
            for row in rows:
                # A killed run may leave a half-written last row.
                if len(row) == len(names):
                    for name, place in places:
                        if row[place]:
                            found[name][int(float(row[at]))] = float(row[place])
    except (OSError, ValueError, OverflowError, csv.Error):
        pass
    return found


def kept_epochs(curves: Iterable[Mapping[str, Curve]], points: int) -> set[int]:
    """The epochs that a report shows, the same for all of its runs: about `points`, the first and the last among them."""
    last = max((epoch for run in curves for curve in run.values() for epoch in curve), default=0)
    stride = math.ceil(last / points)
    return {1, last, *range(stride, last, stride)} if last else set()


def thinned(curve: Curve, kept: set[int]) -> list[tuple[int, float]]:
    """The points of a curve at the epochs that are kept. A run of fewer epochs than two of those shows all that it has."""
    points = sorted((epoch, value) for epoch, value in curve.items() if epoch in kept)
    return points if len(points) > 1 else sorted(curve.items())


def kept_layers(count: int, points: int) -> Sequence[int]:
    """The layers that a report shows of a deep network: the first, the last two, and some between."""
    if count <= points:
        return range(count)
    return sorted({*range(0, count, math.ceil(count / points)), count - 2, count - 1})
