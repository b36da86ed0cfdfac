"""A fault in the project's code, and where it is planted."""

from pathlib import Path
from typing import NamedTuple


class Fault(NamedTuple):
    """One fault, and the tests that must notice it.

    breaks: what goes wrong, in words.
    file: a path below src/gradpath, or one that begins with scripts/.
    old: a text that stands in the file exactly once.
    new: the faulty text in its place.
    caught_by: the arguments for pytest; paths are below tests/.
    """

    breaks: str
    file: str
    old: str
    new: str
    caught_by: str


def place(fault: Fault, project: Path) -> Path:
    return project / fault.file if fault.file.startswith("scripts/") else project / "src/gradpath" / fault.file
