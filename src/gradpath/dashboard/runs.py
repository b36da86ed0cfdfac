"""Finds runs, the folders with a `flow.npz`, and sweeps, the folders of runs with a `sweep.yaml`."""

import os
from collections.abc import Iterable
from pathlib import Path

from gradpath.files import SWEEP
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
        self._sweeps: dict[str, Path] = {}

    def listing(self) -> dict[str, list[dict[str, str]]]:
        """The `name` and `version` of all `runs` and of all `sweeps` with a run, the newest first."""
        found = [file for group, root in self.roots for file in _walk(group, root)]
        self._paths = {name: path for name, path in found if path.name == FILE}
        folders = {path.parent.parent for path in self._paths.values()}
        self._sweeps = {name: path for name, path in found if path.name == SWEEP and path.parent in folders}
        return {"runs": _dated(self._paths), "sweeps": _dated(self._sweeps)}

    def path(self, name: str) -> Path | None:
        """The record of a listed run; None for any other name, such as one with `..` in it."""
        if name not in self._paths:
            self.listing()
        return self._paths.get(name)

    def sweep(self, name: str) -> Path | None:
        """The `sweep.yaml` of a listed sweep; None for any other name."""
        if name not in self._sweeps:
            self.listing()
        return self._sweeps.get(name)

    def names(self) -> dict[Path, str]:
        """The names of the listed runs by their folders."""
        return {path.parent: name for name, path in self._paths.items()}


def _dated(paths: dict[str, Path]) -> list[dict[str, str]]:
    dated = []
    for name, path in paths.items():
        try:
            state = path.stat()
        except OSError:
            continue  # deleted since it was found
        dated.append((state.st_mtime_ns, name, version(state)))
    return [{"name": name, "version": state} for _, name, state in sorted(dated, reverse=True)]


def _walk(group: str, root: Path) -> Iterable[tuple[str, Path]]:
    """The records and the plans of sweeps, each with the name of its folder."""
    # TensorBoard follows links too, so a link to a folder above it must not be followed for ever.
    seen = set()
    for folder, below, files in os.walk(root, followlinks=True):
        try:
            here = Path(folder).stat()
            found = [Path(folder, name) for name in (FILE, SWEEP) if name in files and Path(folder, name).is_file()]
        except OSError:
            continue
        if (here.st_dev, here.st_ino) in seen:
            below.clear()
            continue
        seen.add((here.st_dev, here.st_ino))
        name = os.path.join(group, os.path.relpath(folder, root))  # noqa: PTH118  "group/.", as TensorBoard has it
        for path in found:
            yield name.encode(errors="replace").decode(), path


def version(state: os.stat_result) -> str:
    """A text that changes whenever the file is replaced."""
    return f"{state.st_mtime_ns}-{state.st_size}-{state.st_ino}"
