"""The course of a sweep: jobs are handed to an engine until each has an outcome in its folder."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from gradpath.locks import CLAIM, is_held
from gradpath.sweep.engine import ELSEWHERE, Call, End, Engine
from gradpath.sweep.outcome import Outcome, in_words, read_outcome, record_outcome
from gradpath.sweep.plan import Planned
from gradpath.sweep.progress import Progress
from gradpath.sweep.source import Source
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
        # Running jobs that were told to stop, and why.
        self.pruned: dict[str, str] = {}
        # Jobs whose end could not be written down, and why.
        self.unwritten: dict[str, str] = {}
        # The signals that asked to stop, and how many of them the engine has been told of.
        self.asked: list[int] = []
        self._told = 0

    def run(self, jobs: Source, until_failure: bool) -> None:
        """Runs jobs until none is left, or Ctrl-C or a failure stops it.

        Args:
            until_failure: whether no further job begins once one has failed.
        """
        stopped = False
        with self._signals():
            while jobs.left() or self.running or (self.elsewhere and not self.joins):
                while len(self.running) < self.engine.places and not (self.asked or stopped):
                    job = jobs.next(self.engine.places)
                    if job is None:
                        break
                    self._begin(job, jobs)
                for name, end in self.engine.ended(PAUSE):
                    failed = self._ended(self.running.pop(name), end, jobs)
                    stopped = stopped or (failed and until_failure)
                self._look_elsewhere(jobs)
                self._pass_on()
                if (self.asked or stopped) and not self.running:
                    break
                for name, why in jobs.hopeless().items():
                    if name in self.running:
                        self.pruned[name] = why
                        self.engine.stop_one(name)
                self.progress.refresh()
                self._summarise()

    def _pass_on(self) -> None:
        """Tells the engine to stop. Not where the signal arrives, which may be in the middle of handing in a job."""
        if self._told < len(self.asked):
            self._told = len(self.asked)
            self.engine.stop(now=self._told > 1)

    def _begin(self, job: Planned, jobs: Source) -> None:
        try:
            (self.folder / job.name).mkdir(exist_ok=True)
        except OSError as error:
            self._record(job, "failed", f"{error.filename}: {error.strerror}")
            outcome = read_outcome(self.folder, job.name)
            self.progress.ended(job, outcome)
            jobs.ended(job, outcome)
            return
        self.engine.submit(self.call(job))
        self.running[job.name] = job
        self.progress.began(job)

    def _ended(self, job: Planned, end: End, jobs: Source) -> bool:
        """Makes sure that a job's end is written down. Returns whether the job failed."""
        pruned = self.pruned.pop(job.name, None)
        if end == ELSEWHERE:
            self.elsewhere[job.name] = job
            self.progress.running.pop(job.name, None)
            return False
        if pruned:
            self._record(job, "pruned", pruned)
        elif not (self.asked and end in (128 + signal.SIGINT, 128 + signal.SIGTERM, -signal.SIGKILL)):
            self._record(job, "failed", *in_words(end))
        outcome = read_outcome(self.folder, job.name)
        self.progress.ended(job, outcome)
        jobs.ended(job, outcome)
        return outcome is not None and outcome.status == "failed"

    def _record(self, job: Planned, status: str, error: str, interrupted: bool = False) -> None:
        call = self.call(job)
        try:
            record_outcome(self.folder, job.name, status, error, interrupted, call.choices, call.command)
        except OSError as error:
            self.unwritten[job.name] = f"{error.filename or self.folder}: {error.strerror}"

    def _look_elsewhere(self, jobs: Source) -> None:
        """Gives back the jobs of other processes that have ended without an outcome. Those with one are done."""
        for name, job in [*self.elsewhere.items()]:
            # In this order: whoever gives up a claim has written the outcome before.
            if is_held(self.folder / name, CLAIM):
                continue
            del self.elsewhere[name]
            outcome = read_outcome(self.folder, name)
            if outcome and not outcome.interrupted:
                self.progress.ended(job, outcome, here=False)
                jobs.ended(job, outcome)
            else:
                jobs.again(job)

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

        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def done(outcome: Outcome | None, retry: str | None) -> bool:
    """Whether a job needs no further run."""
    return outcome is not None and not outcome.interrupted and not (retry is not None and outcome.status == retry)
