"""What every launcher is to a sweep: jobs are handed in, and how their processes ended comes back."""

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

# What a job's process says before it ends: it has written its outcome; another process has the job; the code is not what the
# sweep was begun with; its folder cannot be written to, for the reason whose number in `errno` is added.
DONE, ELSEWHERE, CHANGED, UNWRITABLE = 0, 75, 76, 192
# ... and: it was stopped, by Ctrl-C or by SIGTERM.
INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM


@dataclass(frozen=True)
class Lost:
    """Nothing is known of how a job's process ended but this sentence: its worker, or its machine, is gone."""

    why: str


@dataclass(frozen=True)
class Exited:
    """A job's process said nothing before it ended: a user's code has ended it, a crash or a signal.

    code: its exit code, or the negative number of the signal.
    """

    code: int


# How a job's process ended: what it said, if it could.
End = int | Exited | Lost


@dataclass(frozen=True)
class Call:
    """What a job's process is given.

    sweep, name: the sweep's folder, and the name of the job's folder in it.
    config, choices, overrides: as for a run.
    varied: what differs between the jobs of the sweep, as typed.
    command: of the sweep, as typed.
    code, packages: a digest of the code that trains, and the user's own packages in it, as the plan has them.
    threads: for torch.
    variables: environment variables to set.
    """

    sweep: Path
    name: str
    config: Mapping[str, Any]
    choices: Mapping[str, str]
    overrides: list[str]
    varied: Mapping[str, str]
    command: str
    code: str
    packages: Sequence[str]
    threads: int
    variables: Mapping[str, str]

    @property
    def folder(self) -> Path:
        return self.sweep / self.name


class Engine(Protocol):
    """Runs jobs, each in a process of its own. What came out of a job stands in its folder, not here."""

    # Jobs at a time; a free place is filled at once.
    places: int

    def submit(self, call: Call) -> None:
        """Starts a job. There is a free place."""

    def ended(self, seconds: float) -> list[tuple[str, End]]:
        """Waits until a job ends, but at most this long. Returns the names of those that did, and how they ended."""

    def stop(self, now: bool) -> None:
        """Asks all jobs to stop between two batches, or ends them now."""

    def stop_one(self, name: str) -> None:
        """Asks one job to stop, between two batches if the engine can. Nothing happens if it has ended."""

    def close(self) -> None:
        """Ends what is left."""
