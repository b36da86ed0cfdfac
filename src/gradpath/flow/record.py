"""The record of a run: a matrix of steps x layers for every measured quantity, kept in `flow.npz`."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gradpath.files import open_regular, write_atomically

FILE = "flow.npz"
IN_TIME = "in_time/"
Matrix = npt.NDArray[np.float64]


class Record:
    """Grows by a row per measured step while a run goes on, and is saved as a whole.

    `flow.npz` is readable with numpy alone and holds:
        layer: (L,), the layers' names, first hidden layer first.
        step: (S,), optimiser steps done before the measurement.
        <quantity>: (S, L) in float64, NaN where it was not measured, inf where it was not finite.
        in_time/<layer>: (S, T), |delta| at the states of a recurrent layer, by time step, NaN where it was not measured.
        theory_<quantity>, theory_<quantity>_band: (L,) and (2, L), what theory predicts for step 0.
        seeds_<quantity>_band: (2, L), lowest and highest value at step 0 over networks of other seeds.
        verdict: a JSON text.
    """

    def __init__(self, layers: list[str], quantities: list[str]) -> None:
        self.layers, self.quantities = layers, quantities
        self.steps: list[int] = []
        self.rows: list[Matrix] = []
        self.lines: dict[str, Matrix] = {}
        self.in_time: dict[str, Matrix] = {}
        self.verdict: Mapping[str, Any] | None = None

    def add(self, step: int, values: Matrix) -> None:
        """Appends the `values` (quantities, L) measured at `step`."""
        self.steps.append(step)
        self.rows.append(values)

    def widen(self, layers: Sequence[str]) -> None:
        """Adds columns, in which the rows so far have NaN."""
        self.layers = [*self.layers, *layers]
        self.rows = [np.pad(row, ((0, 0), (0, len(layers))), constant_values=np.nan) for row in self.rows]

    def row(self, index: int) -> dict[str, Matrix]:
        """The values of the `index`-th measured step, (L,) per quantity."""
        return dict(zip(self.quantities, self.rows[index], strict=True))

    def matrix(self, quantity: str) -> Matrix:
        """One quantity over the steps, (S, L)."""
        index = self.quantities.index(quantity)
        return np.array([row[index] for row in self.rows]).reshape(len(self.rows), len(self.layers))

    def save(self, folder: Path) -> None:
        """Writes `flow.npz` atomically, uncompressed: compressing would take a hundred times as long."""
        block = np.array(self.rows).reshape(len(self.steps), len(self.quantities), len(self.layers))
        content: dict[str, npt.NDArray[Any]] = {
            "layer": np.array(self.layers, dtype=str),
            "step": np.array(self.steps, dtype=np.int64),
        }
        content |= {name: block[:, index] for index, name in enumerate(self.quantities)}
        content |= self.lines
        content |= {f"{IN_TIME}{name}": matrix for name, matrix in self.in_time.items()}
        if self.verdict is not None:
            content["verdict"] = np.array(json.dumps(self.verdict))
        write_atomically(folder / FILE, lambda file: np.savez(file, **content))  # type: ignore[arg-type]

    def continue_from(self, folder: Path, step: int) -> None:
        """Takes over the rows before `step` from the record in `folder`; a resumed run measures the later steps again.

        What had not been measured is NaN: a run may go on with clipping, say.
        """
        if not step or not (folder / FILE).is_file():
            return
        saved, unknown = load(folder), np.full(len(self.layers), np.nan)
        for index, measured in enumerate(saved["step"].tolist()):
            if measured < step:
                self.add(measured, np.stack([saved[name][index] if name in saved else unknown for name in self.quantities]))


def load(folder: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a run's `flow.npz`. Raises ValueError if it is an archive of something else."""
    # Opened here, because np.load leaves a damaged archive open.
    with open_regular(folder / FILE) as file, np.load(file) as archive:
        content = {name: archive[name] for name in archive.files}
    if not {"step", "layer"} <= content.keys() or not all(isinstance(part, np.ndarray) for part in content.values()):
        raise ValueError(f"{folder / FILE}: not a record")
    return content


def check(folder: Path, layers: list[str]) -> None:
    """Raises ValueError unless every array of a run's `flow.npz` is as `Record.save` writes it for these layers."""
    content = load(folder)
    steps, wide = content["step"], len(layers)
    if content["layer"].tolist() != layers or steps.dtype.kind != "i" or steps.ndim != 1 or "delta" not in content:
        raise ValueError("layer, step or delta")
    if (np.diff(steps, prepend=-1) < 1).any():
        raise ValueError("step")
    for name, part in content.items():
        line = name.startswith(("theory_", "seeds_"))
        shape = (len(steps), wide) if not line else (2, wide) if name.endswith("_band") else (wide,)
        shape = part.shape if name.startswith(IN_TIME) and part.ndim == 2 and len(part) == len(steps) else shape
        if name not in ("layer", "step", "verdict") and (part.dtype.kind != "f" or part.shape != shape):
            raise ValueError(name)
    if "verdict" in content and not isinstance(json.loads(str(content["verdict"][()])), dict):
        raise ValueError("verdict")


def cut(folder: Path, step: int) -> None:
    """Removes the rows from `step` on from the record in a folder, if it has one."""
    if not (folder / FILE).is_file():
        return
    content = load(folder)
    kept, shape = content["step"] < step, (len(content["step"]), len(content["layer"]))
    measured = [name for name, part in content.items() if part.shape == shape and not name.startswith(("theory_", "seeds_"))]
    measured += [name for name in content if name.startswith(IN_TIME) and name not in measured]
    if not kept.all():
        content |= {name: content[name][kept] for name in ("step", *measured)}
        write_atomically(folder / FILE, lambda file: np.savez(file, **content))  # type: ignore[arg-type]


def set_verdict(folder: Path, verdict: Mapping[str, Any]) -> None:
    """Replaces the verdict in a run's `flow.npz`."""
    content = load(folder) | {"verdict": np.array(json.dumps(verdict))}
    write_atomically(folder / FILE, lambda file: np.savez(file, **content))  # type: ignore[arg-type]
