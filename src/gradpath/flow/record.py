"""The record of a run: every measured quantity as a matrix of steps x layers, kept in `flow.npz`."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from gradpath.files import write_atomically

FILE = "flow.npz"
Matrix = npt.NDArray[np.float64]


class Record:
    """Rows are appended while a run goes on and saved as a whole.

    `flow.npz`, readable with numpy alone: `layer` (L,) names, first hidden layer first; `step` (S,) optimiser steps done
    before the measurement; and a float64 matrix (S, L) per quantity.
    """

    def __init__(self, layers: list[str], quantities: list[str]) -> None:
        self.layers, self.quantities = layers, quantities
        self.steps: list[int] = []
        self.rows: list[Matrix] = []

    def add(self, step: int, values: Matrix) -> None:
        """`values` (quantities, L) measured at `step`."""
        self.steps.append(step)
        self.rows.append(values)

    def save(self, folder: Path) -> None:
        """Writes `flow.npz` atomically."""
        block = np.array(self.rows).reshape(len(self.steps), len(self.quantities), len(self.layers))
        matrices = {name: block[:, index] for index, name in enumerate(self.quantities)}
        content = {"layer": np.array(self.layers), "step": np.array(self.steps, dtype=np.int64), **matrices}
        write_atomically(folder / FILE, lambda file: np.savez_compressed(file, **content))  # type: ignore[arg-type]

    def continue_from(self, folder: Path, step: int) -> None:
        """Takes over what `folder` holds of the steps before `step`: a resumed run measures the later ones again."""
        if not (folder / FILE).is_file():
            return
        saved = load(folder)
        for index, measured in enumerate(saved["step"].tolist()):
            if measured < step:
                self.add(measured, np.stack([saved[name][index] for name in self.quantities]))


def load(folder: Path) -> dict[str, npt.NDArray[np.generic]]:
    """The arrays of a run's `flow.npz`."""
    with np.load(folder / FILE) as archive:
        return {name: archive[name] for name in archive.files}
