"""A value of each epoch, followed while a run appends it to its `metrics.csv`."""

import os
from pathlib import Path

from gradpath.files import open_regular


class Curve:
    """The values of one column that have been added since the last look.

    Args:
        path: of the metrics.csv.
        column: such as `val/loss`.
    """

    def __init__(self, path: Path, column: str) -> None:
        self.path, self.column = path, column
        self._file, self._read, self._names = 0, 0, list[str]()

    def new(self) -> list[tuple[int, float]]:
        """Epochs, counted from 1, with their values. A run that goes on writes the file anew, and old values come again."""
        try:
            with open_regular(self.path) as file:
                self._follow(file.fileno())
                file.seek(self._read)
                # The last line may be half written.
                text, _, _ = file.read().rpartition(b"\n")
        except OSError:
            return []
        self._read += len(text) + 1 if text else 0
        found = []
        for line in text.decode(errors="ignore").splitlines():
            cells = dict(zip(self._names, line.split(","), strict=False))
            if not self._names:
                self._names = line.split(",")
            elif cells.get(self.column) and cells.get("epoch"):
                found.append((int(float(cells["epoch"])), float(cells[self.column])))
        return found

    def _follow(self, number: int) -> None:
        """Begins anew if the path is another file than before."""
        now = os.fstat(number)
        if now.st_ino != self._file or now.st_size < self._read:
            self._file, self._read, self._names = now.st_ino, 0, []
