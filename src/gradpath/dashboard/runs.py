"""Finds runs: the folders with a `flow.npz`."""

import os
from collections.abc import Iterable
from pathlib import Path

from gradpath.flow.record import FILE

Root = tuple[str, Path]


def roots(logdir: str | None, spec: str | None) -> list[Root]:
    """Reads `--logdir` or `--logdir_spec name:path,path` as TensorBoard does. Returns (name of the group or "", folder)."""
    if logdir:
        return [("", Path(logdir).expanduser())]
    pairs = []
    for part in (spec or "").split(","):
        name, colon, path = part.partition(":")
        named = colon and not part.startswith("/") and not path.startswith("//") and not os.path.splitdrive(part)[0]
        pairs.append((name, path) if named else ("", part))
    return [(name, Path(path).expanduser().resolve()) for name, path in pairs if path]


class Runs:
    """The runs with a record below some folders, named as TensorBoard names them. Each listing looks for them again."""

    def __init__(self, roots: list[Root]) -> None:
        self.roots = roots
        self._paths: dict[str, Path] = {}

    def listing(self) -> list[dict[str, str]]:
        """The `name` and `version` of every run, the newest first."""
        self._paths = {name: path for group, root in self.roots for name, path in _walk(group, root)}
        dated = []
        for name, path in self._paths.items():
            try:
                state = path.stat()
            except OSError:
                continue  # deleted since it was found
            dated.append((state.st_mtime_ns, name, version(state)))
        return [{"name": name, "version": state} for _, name, state in sorted(dated, reverse=True)]

    def path(self, name: str) -> Path | None:
        """The record of a listed run; None for any other name, such as one with `..` in it."""
        if name not in self._paths:
            self.listing()
        return self._paths.get(name)


def _walk(group: str, root: Path) -> Iterable[tuple[str, Path]]:
    # TensorBoard follows links too, so a link to a folder above it must not be followed for ever.
    seen = set()
    for folder, below, files in os.walk(root, followlinks=True):
        try:
            here = Path(folder).stat()
            found = FILE in files and Path(folder, FILE).is_file()
        except OSError:
            continue
        if (here.st_dev, here.st_ino) in seen:
            below.clear()
            continue
        seen.add((here.st_dev, here.st_ino))
        if found:
            name = os.path.join(group, os.path.relpath(folder, root))  # noqa: PTH118  "group/.", as TensorBoard has it
            yield name.encode(errors="replace").decode(), Path(folder, FILE)


def version(state: os.stat_result) -> str:
    """A text that changes whenever the file is replaced."""
    return f"{state.st_mtime_ns}-{state.st_size}-{state.st_ino}"
