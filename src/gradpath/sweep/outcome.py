"""How a job ended, read from its folder; and what is written there for a job that could not say it itself."""

import math
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradpath.ended import OUTSIDE, ended
from gradpath.errors import ConfigError
from gradpath.files import FAILURES, RESULT, relative, write_json
from gradpath.locks import CLAIM, hold
from gradpath.saved_json import number, read_json
from gradpath.sweep.engine import INTERRUPTED, TERMINATED, UNWRITABLE, End, Exited, Lost

# Signals by which a process is ended from outside. Its job goes on from its last checkpoint when the sweep does.
FROM_OUTSIDE = {signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    status: ok, diverged, failed, or pruned: a search has stopped the job.
    error: the reason, in one line; None with ok.
    interrupted: the job's process was ended from outside; the job goes on when the sweep does.
    """

    status: str
    error: str | None
    interrupted: bool
    result: Mapping[str, Any]

    @property
    def word(self) -> str:
        """The status as it is said to people while a sweep runs and at its end."""
        return OUTSIDE if self.interrupted else self.status


def read_outcome(sweep: Path, name: str) -> Outcome | None:
    """How a job of a sweep ended; None if it has not come to its end.

    Args:
        sweep: the sweep's folder.
        name: of the job's folder.
    """
    content = _latest(sweep, name)
    if ended(content) is None:
        return None
    error = content.get("error")
    return Outcome(content["status"], None if error is None else str(error), bool(content.get("interrupted")), content)


def objective(outcome: Outcome | None, key: str) -> float:
    """A number of a job's `result.json`, such as `metrics.val/accuracy` or `verdict.ratio`; NaN if there is none."""
    value: Any = outcome.result if outcome and outcome.status == "ok" else None
    for name in key.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    value = number(value)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def lacks(outcome: Outcome, key: str) -> bool:
    """Whether a job's `result.json` has nothing of that name, not even null."""
    value: Any = outcome.result
    for name in key.split("."):
        if isinstance(value, Mapping) and name not in value:
            return True
        value = value.get(name) if isinstance(value, Mapping) else None
    return False


def in_words(ended: End) -> tuple[str, bool]:
    """How a process ended without an outcome, and whether it was ended from outside."""
    if isinstance(ended, Lost):
        return ended.why, True
    if isinstance(ended, Exited):
        if ended.code >= 0:
            return f"the process exited with code {ended.code} before the job had come to its end", False
        number = signal.Signals(-ended.code) if -ended.code in {*signal.Signals} else None
        return f"the process was ended by {number.name if number else f'signal {-ended.code}'}", number in FROM_OUTSIDE
    if ended >= UNWRITABLE:
        return f"the job's folder cannot be written to: {os.strerror(ended - UNWRITABLE)}", False
    if ended in (INTERRUPTED, TERMINATED):
        return "the job was stopped", True
    return f"the process said {ended} and left no result", False


def _read(path: Path) -> dict[str, Any]:
    """The content of a JSON file; nothing if it is missing or damaged."""
    try:
        return read_json(path)
    except ConfigError:
        return {}


# What tells what a job has left from what it leaves later: of `result.json`, and of what stands in `failures`.
Stamp = tuple[tuple[int, int] | None, tuple[int, int] | None]
NOTHING: Stamp = (None, None)


def stamp(sweep: Path, name: str) -> Stamp:
    return _stamp(sweep / name / RESULT), _stamp(_beside(sweep, name))


def has_ended(sweep: Path, name: str, before: Stamp) -> bool:
    """Whether a job has an outcome, other than the one of an earlier attempt that had left `before`."""
    return stamp(sweep, name) != before and read_outcome(sweep, name) is not None


def record_outcome(sweep: Path, name: str, content: Mapping[str, Any], before: Stamp = NOTHING) -> bool:
    """Writes down how a job ended, unless the job has done so itself. Returns False if another process is at work on it.

    Args:
        content: of `result.json`.
        before: what an earlier attempt at the job had left when this one began. It does not tell how this one ended.

    Raises:
        OSError: nothing can be written, as on a full disk.
    """
    try:
        with hold(sweep / name, name=CLAIM), hold(sweep / name):
            if not has_ended(sweep, name, before):
                write_json(sweep / name / RESULT, content)
                _beside(sweep, name).unlink(missing_ok=True)
            return True
    except ConfigError:
        return False
    except OSError:
        # There is no such folder and none can be made, or nothing can be written to it.
        (sweep / FAILURES).mkdir(exist_ok=True)
        write_json(_beside(sweep, name), content)
        return True


def forget_failure(sweep: Path, name: str) -> None:
    """Removes what an attempt at a job that failed or was interrupted has left. It must not pass for the end of the next.

    Only the process that has claimed the job may call this. A crash in the middle leaves a job that is run again.

    Raises:
        OSError: the folder is read-only.
    """
    _beside(sweep, name).unlink(missing_ok=True)
    if _read(sweep / name / RESULT).get("status") == "failed":
        (sweep / name / RESULT).unlink()


def in_short(error: OSError) -> str:
    """What could not be done, for a message of one line."""
    return f"{relative(Path(str(error.filename)))}: {error.strerror}" if error.filename else error.strerror or str(error)


def _beside(sweep: Path, name: str) -> Path:
    """What says how a job ended whose folder could not be written to."""
    return sweep / FAILURES / f"{name}.json"


def _latest(sweep: Path, name: str) -> dict[str, Any]:
    """What the job's folder says; what stands in `failures` if that is newer than a failure there, or all there is."""
    own = _read(sweep / name / RESULT)
    if own and own.get("status") != "failed":
        return own
    beside = _read(_beside(sweep, name))
    if own and beside:
        times = [found[1] if found else 0 for found in stamp(sweep, name)]
        return beside if times[1] > times[0] else own
    return own or beside


def _stamp(path: Path) -> tuple[int, int] | None:
    with suppress(OSError):
        state = path.stat()
        return state.st_ino, state.st_mtime_ns
    return None
