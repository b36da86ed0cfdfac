"""Reads back what a run left in its folder. This needs neither Lightning nor Hydra nor torch."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from gradpath.config.saved_yaml import read_yaml
from gradpath.files import CONFIG, CURVES, RESULT
from gradpath.flow import record
from gradpath.saved_json import read_json

# Whole numbers below it are floating-point numbers too.
LARGEST = 2**53


@dataclass(frozen=True)
class SavedRun:
    """A run, as `load_run` reads it. Tables are pandas data frames if pandas is installed, else numpy arrays.

    config: the resolved configuration; None for a probe in a loop of one's own.
    result: the content of `result.json`; None for a run that has not come to its end, and for a probe in a loop of one's
        own. JSON has no NaN and no infinities; there they are the texts "nan", "inf" and "-inf".
    curves: loss, accuracy and learning rate, one row per logged moment. Either a frame or column -> (rows,). A value that
        was not logged at that moment is NaN.
    layers: L names, first hidden layer first.
    steps: (S,), the optimiser steps that were measured.
    flow: quantity -> (S, L), a frame of steps x layers or an array; empty with `probe=none`.
    """

    folder: Path
    config: Mapping[str, Any] | None
    result: Mapping[str, Any] | None
    curves: Any
    layers: list[str]
    steps: list[int]
    flow: Mapping[str, Any]


def load_run(folder: str | Path) -> SavedRun:
    """Reads the folder of a run of train.py or scripts/probe.py, or of a probe that was given `folder=`.

    Raises:
        FileNotFoundError: the folder holds no run.
        ValueError: a file is damaged. The message says which.
    """
    place = Path(folder).expanduser()
    if not any((place / name).is_file() for name in (CONFIG, RESULT, record.FILE)):
        raise FileNotFoundError(f"load_run: {folder}: no run (none of {CONFIG}, {RESULT} and {record.FILE} is there)")
    recorded = _readable(place / record.FILE, lambda path: record.load(path.parent)) or {}
    layers, steps = recorded.get("layer", np.array([])).tolist(), recorded.get("step", np.array([])).tolist()
    return SavedRun(
        folder=place,
        config=_readable(place / CONFIG, read_yaml),
        result=_readable(place / RESULT, read_json),
        curves=_columns(_readable(place / CURVES, lambda path: load_curves(path.parent)) or []),
        layers=layers,
        steps=steps,
        flow={
            name: _frame(matrix, steps, layers)
            for name, matrix in recorded.items()
            if matrix.shape == (len(steps), len(layers)) and not name.endswith("_band")
        },
    )


def load_curves(folder: Path) -> list[dict[str, float]]:
    """The rows of a run's `metrics.csv`, without the empty cells."""
    path = folder / CURVES
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    # A killed run may leave a half-written last row.
    return [{k: float(v) for k, v in row.items() if v} for row in rows if None not in row.values() and row["step"]]


def check_curves(folder: Path) -> None:
    """Raises ValueError if a run's `metrics.csv` lacks its header, or has a step or an epoch that cannot be."""
    with (folder / CURVES).open(newline="") as file:
        names = next(csv.reader(file), [])
    if names[:2] != ["step", "epoch"] or len(set(names)) < len(names):
        raise ValueError(names)
    rows = load_curves(folder)
    # Lightning logs the end of an epoch with the step before it, below a row of the last step.
    for name, back in (("step", 1), ("epoch", 0)):
        column = [row[name] for row in rows]
        if not all(0 <= number < LARGEST and number.is_integer() for number in column):
            raise ValueError(f"{name} is no count")
        if any(number < most - back for number, most in zip(column, accumulate(column, max), strict=True)):
            raise ValueError(f"{name} goes backwards")


def _readable(path: Path, read: Any) -> Any:
    """The file's content, or None if there is no such file."""
    if not path.is_file():
        return None
    try:
        return read(path)
    # A damaged file can raise a dozen types of exception, from zipfile's to yaml's.
    except Exception as error:
        raise ValueError(f"load_run: {path}: damaged ({type(error).__name__})") from None


def _columns(rows: Sequence[Mapping[str, float]]) -> Any:
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: np.array([row.get(name, np.nan) for row in rows]) for name in names}
    pandas = _pandas()
    return pandas.DataFrame(columns) if pandas else columns


def _frame(matrix: record.Matrix, steps: Sequence[int], layers: Sequence[str]) -> Any:
    pandas = _pandas()
    return pandas.DataFrame(matrix, index=pandas.Index(steps, name="step"), columns=list(layers)) if pandas else matrix


def _pandas() -> Any:
    """The pandas module, or None if it is not installed."""
    try:
        return import_module("pandas")
    except ImportError:
        return None
