"""Matrices that grow by rows, and now and then by columns, at the cost of the new rows alone."""

import numpy as np

from gradpath.flow.record import Matrix


class Growing:
    """A matrix with a row for each step, NaN where nothing was put."""

    def __init__(self) -> None:
        self.values: Matrix = np.empty((0, 0))

    def put(self, row: int, line: Matrix) -> None:
        """Puts the numbers of one step, (columns,)."""
        rows, columns = self.values.shape
        if row >= rows or len(line) > columns:
            wider = np.full((max(rows, 2 * row + 1) if row >= rows else rows, max(columns, len(line))), np.nan)
            wider[:rows, :columns] = self.values
            self.values = wider
        self.values[row, : len(line)] = line

    def first(self, rows: int) -> Matrix:
        """The first rows, without a copy unless there are too few."""
        missing = rows - len(self.values)
        if missing > 0:
            return np.pad(self.values, ((0, missing), (0, 0)), constant_values=np.nan)
        return self.values[:rows]
