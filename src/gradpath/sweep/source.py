"""Where a course gets its jobs from: a list of all of them, or a search that proposes one after the other."""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Protocol

from gradpath.sweep.outcome import Outcome
from gradpath.sweep.plan import Planned


class Source(Protocol):
    """Gives jobs to a course, and is told how they end."""

    def next(self, places: int) -> Planned | None:
        """The next job to begin; None if there is none now.

        Args:
            places: how many jobs run at a time.
        """

    def left(self) -> bool:
        """Whether there may be more jobs to begin."""

    def again(self, job: Planned) -> None:
        """Takes a job back that another process has left without an outcome."""

    def ended(self, job: Planned, outcome: Outcome | None) -> None:
        """A job is no longer at work, here or in another process."""

    def hopeless(self) -> Mapping[str, str]:
        """The names of running jobs that are to be stopped, each once, and why."""

    def trials(self) -> int | None:
        """How many trials there are, of which several may have the same job; None if the jobs are those of a grid."""


class Listed:
    """Jobs that are known beforehand, as those of a grid are."""

    def __init__(self, jobs: Iterable[Planned]) -> None:
        self._waiting = deque(jobs)

    def next(self, places: int) -> Planned | None:
        return self._waiting.popleft() if self._waiting else None

    def left(self) -> bool:
        return bool(self._waiting)

    def again(self, job: Planned) -> None:
        self._waiting.append(job)

    def ended(self, job: Planned, outcome: Outcome | None) -> None:
        pass

    def hopeless(self) -> Mapping[str, str]:
        return {}

    def trials(self) -> None:
        pass
