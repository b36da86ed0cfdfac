"""The course of a sweep: jobs are handed to an engine until each has an outcome in its folder."""

import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from gradpath.locks import CLAIM, is_held
from gradpath.sweep.engine import ELSEWHERE, Call, End, Engine
from gradpath.sweep.outcome import Outcome, in_words, read_outcome, record_failure
from gradpath.sweep.plan import Planned
from gradpath.sweep.progress import Progress
from gradpath.sweep.summary import Summary

# Seconds between two looks at running jobs.
PAUSE = 0.5


class Course:
    """What runs, what waits, and what another process has.

    Args:
        folder: the sweep's.
        call: makes what a job's process is given.
        joins: whether another process conducts the sweep; this one then ends when no job is left to begin.
    """

    def __init__(
        self,
        folder: Path,
        engine: Engine,
        call: Callable[[Planned], Call],
        progress: Progress,
        summary: Summary,
        joins: bool,
    ) -> None:
        self.folder, self.engine, self.call = folder, engine, call
        self.progress, self.summary, self.joins = progress, summary, joins
        self.running: dict[str, Planned] = {}
        self.elsewhere: dict[str, Planned] = {}
        # Jobs whose end could not be written down, and why.
        self.unwritten: dict[str, str] = {}
        self.asked: list[int] = []

    def run(self, jobs: Sequence[Planned], until_failure: bool) -> None:
        """Runs jobs until each has ended, or Ctrl-C or a failure stops it.

        Args:
            until_failure: whether no further job begins once one has failed.
        """
        waiting = deque(jobs)
        stopped = False
        with self._signals():
            while waiting or self.running or (self.elsewhere and not self.joins):
                while waiting and len(self.running) < self.engine.places and not (self.asked or stopped):
                    self._begin(waiting.popleft())
                for name, end in self.engine.ended(PAUSE):
                    failed = self._ended(self.running.pop(name), end)
                    stopped = stopped or (failed and until_failure)
                waiting.extend(self._freed())
                if (self.asked or stopped) and not self.running:
                    break
                self.progress.refresh()
                self._summarise()

    def _begin(self, job: Planned) -> None:
        try:
            (self.folder / job.name).mkdir(exist_ok=True)
        except OSError as error:
            self._record(job, f"{error.filename}: {error.strerror}", interrupted=False)
            self.progress.ended(job, read_outcome(self.folder, job.name))
            return
        self.engine.submit(self.call(job))
        self.running[job.name] = job
        self.progress.began(job)

    def _ended(self, job: Planned, end: End) -> bool:
        """Makes sure that a job's end is written down. Returns whether the job failed."""
        if end == ELSEWHERE:
            self.elsewhere[job.name] = job
            self.progress.running.pop(job.name, None)
            return False
        if not (self.asked and end in (128 + signal.SIGINT, 128 + signal.SIGTERM, -signal.SIGKILL)):
            self._record(job, *in_words(end))
        outcome = read_outcome(self.folder, job.name)
        self.progress.ended(job, outcome)
        return outcome is not None and outcome.status == "failed"

    def _record(self, job: Planned, error: str, interrupted: bool) -> None:
        call = self.call(job)
        try:
            record_failure(self.folder, job.name, error, interrupted, call.choices, call.command)
        except OSError as error:
            self.unwritten[job.name] = f"{error.filename or self.folder}: {error.strerror}"

    def _freed(self) -> Iterator[Planned]:
        """Jobs of other processes that have ended without an outcome. Those with one are done."""
        for name, job in [*self.elsewhere.items()]:
            # In this order: whoever gives up a claim has written the outcome before.
            if is_held(self.folder / name, CLAIM):
                continue
            del self.elsewhere[name]
            outcome = read_outcome(self.folder, name)
            if outcome and not outcome.interrupted:
                self.progress.ended(job, outcome, here=False)
            else:
                yield job

    def _summarise(self) -> None:
        try:
            self.summary.update()
        except OSError as error:
            self.unwritten["the summary"] = f"{error.filename}: {error.strerror}"

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """The first Ctrl-C or SIGTERM makes the jobs stop between two batches, the second ends them at once."""

        def ask(number: int, _: FrameType | None) -> None:
            self.asked.append(number)
            self.engine.stop(now=len(self.asked) > 1)

        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def done(outcome: Outcome | None, retry: str | None) -> bool:
    """Whether a job needs no further run."""
    return outcome is not None and not outcome.interrupted and not (retry == "failed" and outcome.status == "failed")
