"""How a job ended, read from its folder; and what is written there for a job that could not say it itself."""

import math
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradpath.errors import ConfigError
from gradpath.files import FAILURES, RESULT, write_json
from gradpath.locks import hold
from gradpath.saved_json import number, read_json
from gradpath.sweep.engine import UNWRITABLE, End, Lost

STATUSES = ("ok", "diverged", "pruned", "failed")
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


def read_outcome(sweep: Path, name: str) -> Outcome | None:
    """How a job of a sweep ended; None if it has not come to its end.

    Args:
        sweep: the sweep's folder.
        name: of the job's folder.
    """
    content = _read(sweep / name / RESULT) or _read(sweep / FAILURES / f"{name}.json")
    if content.get("status") not in STATUSES:
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


def record_outcome(
    sweep: Path, name: str, status: str, error: str, interrupted: bool, choices: Mapping[str, str], command: str
) -> None:
    """Writes down how a job ended and why, unless the job has done so itself.

    Args:
        interrupted: the job's process was ended from outside.

    Raises:
        OSError: nothing can be written, as on a full disk.
    """
    if read_outcome(sweep, name) is not None:
        return
    content: dict[str, Any] = {"status": status, "error": error, "choices": dict(choices), "command": command}
    if interrupted:
        content["interrupted"] = True
    with suppress(OSError, ConfigError), hold(sweep / name):
        if not (sweep / name / RESULT).exists():
            write_json(sweep / name / RESULT, content)
        return
    # There is no such folder, and none can be made.
    (sweep / FAILURES).mkdir(exist_ok=True)
    write_json(sweep / FAILURES / f"{name}.json", content)


def in_words(ended: End) -> tuple[str, bool]:
    """How a process ended without an outcome, and whether it was ended from outside."""
    if isinstance(ended, Lost):
        return ended.why, True
    if ended >= UNWRITABLE:
        return f"the job's folder cannot be written to: {os.strerror(ended - UNWRITABLE)}", False
    if ended < 0:
        number = signal.Signals(-ended) if -ended in {*signal.Signals} else None
        return f"the process was ended by {number.name if number else f'signal {-ended}'}", number in FROM_OUTSIDE
    if ended in (130, 143):
        return "the job was stopped", True
    return f"the process exited with code {ended} before the job had come to its end", False


def _read(path: Path) -> dict[str, Any]:
    """The content of a JSON file; nothing if it is missing or damaged."""
    try:
        return read_json(path)
    except ConfigError:
        return {}
