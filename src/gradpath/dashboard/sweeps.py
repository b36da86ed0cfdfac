"""The jobs of a sweep as the page shows them, from a `sweep.yaml` that may be growing, damaged, huge or not ours."""

import json
import os
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import yaml

from gradpath.dashboard.answers import WAIT, BusyError
from gradpath.dashboard.archive import RecordError, shortened
from gradpath.dashboard.records import NAME
from gradpath.dashboard.runs import version
from gradpath.ended import ended
from gradpath.errors import ConfigError
from gradpath.files import FAILURES, RESULT, open_regular, read_regular
from gradpath.saved_json import parsed

LARGEST = 2**21
"""The largest `sweep.yaml` that is read, in bytes. A job takes half a kilobyte."""
EVENTS = 200_000
"""The most words, lists and mappings in it. A job takes forty, and reading all of them half a second."""
DEEPEST = 10  # lists and mappings within each other, of which a plan has four
RESULT_BYTES, RESULTS = 2**20, 2**24
"""The largest result that is read, and the bytes of all for one answer. Only those of jobs without a record are."""
KEPT, ENDED = 4, 10_000
"""So many plans, and ends of jobs, are kept."""
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Job(NamedTuple):
    """A job: the name of its folder in the sweep's, and what differs between the jobs, key -> value, as typed."""

    name: str
    varied: dict[str, str]


class Sweeps:
    """The jobs of sweeps. One file is read at a time, and the plans asked for last are kept."""

    def __init__(self) -> None:
        self._turn = Lock()
        self._kept: OrderedDict[tuple[Path, str], list[Job] | str] = OrderedDict()
        # A page asks again and again, and a result is read once.
        self._ended: OrderedDict[tuple[Path, str], tuple[str | None, int]] = OrderedDict()

    def get(self, path: Path, runs: Mapping[Path, str]) -> bytes:
        """The jobs of the sweep at `path`, as JSON of `jobs`, in their order. Each has:

        name: of its folder.
        run: its name in the list of runs, or null if it has no record.
        varied: key -> value, as typed, of what differs between the jobs.
        status: how it ended, if it has no record: a word of `gradpath.ended`, or null where that is not known.

        Args:
            runs: the names of all runs, by their folders.

        Raises:
            RecordError: the file cannot be shown.
            BusyError: other sweeps were being read for WAIT seconds.
        """
        if not self._turn.acquire(timeout=WAIT):
            raise BusyError("TensorBoard is reading other sweeps.")
        try:
            jobs = self._plan(path)
            names = {job.name: runs.get(path.parent / job.name) for job in jobs}
            ended = self._statuses(path.parent, [name for name, run in names.items() if run is None])
        finally:
            self._turn.release()
        told = [{**job._asdict(), "run": names[job.name], "status": ended.get(job.name)} for job in jobs]
        return json.dumps({"jobs": told}, ensure_ascii=False).encode(errors="replace")

    def _statuses(self, folder: Path, names: list[str]) -> dict[str, str]:
        """How jobs have ended, as far as they say it within limits. What wrote no result stands in a file of the sweep."""
        left, found = RESULTS, {}
        for name in names:
            for path in (folder / name / RESULT, folder / FAILURES / f"{name}.json"):
                status, size = self._status(path) if left > 0 else (None, 0)
                left -= size
                if status:
                    found[name] = status
                    break
        return found

    def _status(self, path: Path) -> tuple[str | None, int]:
        """What a result says of how its job ended, and how much of the file was read, now or when it was last asked for."""
        try:
            key = path, version(path.stat())
        except OSError:
            return None, 0
        if key not in self._ended:
            content, size = _json(path)
            self._ended[key] = ended(content), size
        self._ended.move_to_end(key)
        if len(self._ended) > ENDED:
            self._ended.popitem(last=False)
        return self._ended[key]

    def _plan(self, path: Path) -> list[Job]:
        try:
            with open_regular(path) as file:
                key = path, version(os.fstat(file.fileno()))
                if key not in self._kept:
                    self._kept[key] = _understood(file.read(LARGEST + 1))
        except OSError as error:
            raise RecordError(f"cannot be read: {error.strerror or 'it is no file'}.") from None
        self._kept.move_to_end(key)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        plan = self._kept[key]
        if isinstance(plan, str):
            raise RecordError(plan)
        return plan


def _understood(data: bytes) -> list[Job] | str:
    """The jobs of a plan, or the sentence of a refusal."""
    if len(data) > LARGEST:
        return f"is too large: at most {LARGEST:,} bytes are read."
    try:
        return [_job(entry) for entry in _content(data.decode())["jobs"]]
    except RecordError as error:
        return str(error)
    except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError) as error:
        return f"is damaged ({type(error).__name__})."


def _job(entry: dict[str, Any]) -> Job:
    name, varied = entry["name"], entry["varied"]
    # A sweep's folder is data: no name in it leads out of it.
    if not re.fullmatch(r"\d+[\w.-]*", name) or len(name) > NAME:
        raise RecordError("is damaged: a job has a name that none can have.")
    if not all(isinstance(value, str) for value in varied.values()):
        raise RecordError("is damaged: a varied value is no text.")
    return Job(name, {shortened(key, NAME): shortened(value, NAME) for key, value in varied.items()})


def _content(text: str) -> Any:
    """Lists, mappings and texts. An alias may stand for gigabytes; it is refused, as tags are, and too much of all."""
    events = _limited(yaml.parse(text, Loader=LOADER))
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            return _value(next(events), events, 0)
    raise RecordError("is damaged: it is empty.")


def _limited(events: Iterator[Any]) -> Iterator[Any]:
    for count, event in enumerate(events):
        if count > EVENTS:
            raise RecordError(f"is too large: at most {EVENTS:,} words are read.")
        if getattr(event, "anchor", None) or getattr(event, "tag", None):
            raise RecordError("is damaged: it has an anchor, an alias or a tag.")
        yield event


def _value(event: Any, events: Iterator[Any], depth: int) -> Any:
    """What begins with an event."""
    if depth > DEEPEST:
        raise RecordError("is damaged: it has lists within lists.")
    if isinstance(event, yaml.ScalarEvent):
        return event.value
    if isinstance(event, yaml.SequenceStartEvent):
        return [_value(item, events, depth + 1) for item in _until(yaml.SequenceEndEvent, events)]
    return {
        _value(key, events, depth + 1): _value(next(events), events, depth + 1)
        for key in _until(yaml.MappingEndEvent, events)
    }


def _until(end: type, events: Iterator[Any]) -> Iterator[Any]:
    """The events up to one of the kind `end`. What takes them may take more in between."""
    for event in events:
        if isinstance(event, end):
            return
        yield event


def _json(path: Path) -> tuple[dict[str, Any], int]:
    """The content of a JSON file of at most a megabyte, and how much of it was read; nothing if it is missing or damaged."""
    data = b""
    try:
        data = read_regular(path, RESULT_BYTES)
        return parsed(data), len(data)
    except ConfigError:
        return {}, len(data)
