"""A finished run that goes on: what it was is kept aside until it has trained something."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gradpath.errors import ConfigError, RunFailed, in_one_line
from gradpath.files import CONFIG, CURVES, OVERRIDES, RESULT, aside, relative
from gradpath.flow import record
from gradpath.run import divergence_guard
from gradpath.run.checkpoint import LAST
from gradpath.run.folder import remove_all_leftovers

# What changes before the next checkpoint. `start_folder` puts the result aside, when everything else is.
KEPT = (OVERRIDES, CONFIG, CURVES, record.FILE, divergence_guard.FILE)
EVENTS = "events.out.tfevents.*"
AS_IT_WAS = "the run is left as it was"


class Before:
    """A finished run as it was before it went on.

    Raises:
        OSError: the files cannot be kept. Nothing has changed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkpoint = _identity(folder / LAST)
        self.events = set(folder.glob(EVENTS))
        self.kept = [name for name in KEPT if (folder / name).is_file()]
        try:
            for name in self.kept:
                _keep(folder / name)
        except OSError:
            remove_all_leftovers(folder)
            raise

    @property
    def stands(self) -> bool:
        """Whether the run has written no checkpoint since."""
        return _identity(self.folder / LAST) == self.checkpoint

    def put_back(self) -> None:
        """Makes the folder what it was. The result comes last: until then the run can be resumed."""
        for name in KEPT:
            path = self.folder / name
            if name not in self.kept:
                path.unlink(missing_ok=True)
            elif aside(path).is_file():
                aside(path).replace(path)
        for events in set(self.folder.glob(EVENTS)) - self.events:
            events.unlink()
        if aside(self.folder / RESULT).is_file():
            aside(self.folder / RESULT).replace(self.folder / RESULT)
        remove_all_leftovers(self.folder)


@contextmanager
def protected(folder: Path, goes_on: bool) -> Iterator[Before | None]:
    """Puts a finished run back as it was, if the block ends by an exception before the run has a new checkpoint.

    It yields None for a run that had not come to its end: there is nothing to lose.

    Raises:
        RunFailed: an exception ended the block, and the run is as it was.
    """
    if goes_on:
        remove_all_leftovers(folder)
    if not goes_on or not (folder / RESULT).is_file():
        yield None
        return
    try:
        before = Before(folder)
    except OSError as error:
        raise RunFailed(f"{_said(error)}; {AS_IT_WAS}") from error
    try:
        yield before
    except BaseException as error:
        if not before.stands:
            remove_all_leftovers(folder)
            raise
        before.put_back()
        # The reader of the output has gone, say, or the user has stopped the run.
        if isinstance(error, BrokenPipeError | ConfigError) or not isinstance(error, Exception):
            raise
        raise RunFailed(f"{_said(error)}; {AS_IT_WAS}") from error
    remove_all_leftovers(folder)


def _keep(path: Path) -> None:
    """Keeps a file aside. It is never written in place, so that a second name takes no room on the disk."""
    try:
        os.link(path, aside(path))
    except OSError:
        # This file system has no second names.
        shutil.copy2(path, aside(path))


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from another one in its place; None if there is no file."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_ino, state.st_mtime_ns


def _said(error: Exception) -> str:
    if isinstance(error, RunFailed):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{relative(Path(error.filename))}: {error.strerror}" if error.filename else error.strerror
    return f"{type(error).__name__}: {in_one_line(error)}"
