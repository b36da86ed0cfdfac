"""The course of a sweep: jobs are handed to an engine until each has an outcome in its folder."""

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from gradpath.errors import counted
from gradpath.locks import CLAIM, is_held
from gradpath.sweep.engine import CHANGED, ELSEWHERE, INTERRUPTED, TERMINATED, Call, End, Engine, Exited, Lost
from gradpath.sweep.outcome import (
    NOTHING,
    Outcome,
    Stamp,
    has_ended,
    in_short,
    in_words,
    read_outcome,
    record_outcome,
    stamp,
)
from gradpath.sweep.plan import Plan, Planned
from gradpath.sweep.progress import Progress
from gradpath.sweep.source import Source
from gradpath.sweep.summary import Summary

# Seconds between two looks at running jobs.
PAUSE = 0.5
# How a job's process ends that was told to: stopped by Ctrl-C or SIGTERM, or ended at once.
STOPPED = (INTERRUPTED, TERMINATED, Exited(-signal.SIGKILL))


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
        # Jobs at which another process is at work, and how our own process for the job ended.
        self.elsewhere: dict[str, tuple[Planned, End]] = {}
        # What earlier attempts have left of jobs that run.
        self.before: dict[str, Stamp] = {}
        # Running jobs that were told to stop, and why.
        self.pruned: dict[str, str] = {}
        # Jobs whose end could not be written down, and why.
        self.unwritten: dict[str, str] = {}
        # The signals that asked to stop, and how many of them the engine has been told of.
        self.asked: list[int] = []
        # Whether a job found other code than the sweep was begun with. No further job begins then.
        self.changed = False
        # How the jobs ended that this process has run, by status.
        self.here = Counter[str]()
        # The jobs that this process has had and not brought to their end.
        self.stopped: set[str] = set()
        # The trials of a search, at its end.
        self.trials: int | None = None
        self._told = 0

    def run(self, jobs: Source, until_failure: bool) -> None:
        """Runs jobs until none is left, or Ctrl-C or a failure stops it.

        Args:
            until_failure: whether no further job begins once one has failed.
        """
        failed = False
        with self._signals():
            while jobs.left() or self.running or (self.elsewhere and not self.joins):
                while len(self.running) < self.engine.places and not (self._stops or (failed and until_failure)):
                    job = jobs.next(self.engine.places)
                    if job is None:
                        break
                    failed |= self._begin(job, jobs)
                for name, end in self.engine.ended(PAUSE):
                    failed |= self._ended(self.running.pop(name), end, jobs)
                failed |= self._look_elsewhere(jobs)
                self._pass_on()
                if (self._stops or (failed and until_failure)) and not self.running:
                    break
                for name, why in jobs.hopeless().items():
                    if name in self.running:
                        self.pruned[name] = why
                        self.engine.stop_one(name)
                self.progress.refresh()
                if not self.joins:
                    # Who conducts the sweep writes it.
                    self.summary.update()
        self.trials = jobs.trials()

    @property
    def _stops(self) -> bool:
        return bool(self.asked or self.changed)

    def _pass_on(self) -> None:
        """Tells the engine to stop. Not where the signal arrives, which may be in the middle of handing in a job."""
        if self._told < len(self.asked):
            self._told = len(self.asked)
            self._say_waits()
            self.engine.stop(now=self._told > 1)

    def _say_waits(self) -> None:
        """Says what the end of the sweep waits for."""
        if self.running and self._told == 1:
            jobs, them = counted(len(self.running), "job"), "them" if len(self.running) > 1 else "it"
            self.progress.say(f"stopping {jobs} at the end of a batch; Ctrl-C again ends {them} at once")

    def _begin(self, job: Planned, jobs: Source) -> bool:
        """Hands a job in. Returns whether it has failed before it could begin."""
        call = self.call(job)
        known = read_outcome(self.folder, job.name)
        # What is left of an earlier attempt must not pass for the end of this one.
        if known and not done(known, None):
            self.before[job.name] = stamp(self.folder, job.name)
        try:
            (self.folder / job.name).mkdir(exist_ok=True)
        except OSError as error:
            self._record(job, "failed", in_short(error), False)
            return self._finish(job, jobs)
        # A job of this process has ended when it is handed in.
        begun = time.monotonic()
        self.engine.submit(call)
        self.running[job.name] = job
        self.progress.began(job, begun)
        return False

    def _ended(self, job: Planned, end: End, jobs: Source) -> bool:
        """Makes sure that the end of a job's process is written down. Returns whether the job failed."""
        if end == ELSEWHERE or not self._written(job, end):
            self.elsewhere[job.name] = job, end
            self.progress.running.pop(job.name, None)
            return False
        return self._finish(job, jobs)

    def _written(self, job: Planned, end: End) -> bool:
        """Writes down how a job ended. Returns False if another process is at work on it."""
        pruned = self.pruned.pop(job.name, None)
        if end == CHANGED:
            self.changed = True
            return True
        if pruned:
            return self._record(job, "pruned", pruned, False)
        # A job that was stopped goes on when the sweep does, and so does one that was cancelled before it began.
        if self.asked and (isinstance(end, Lost) or end in STOPPED):
            return True
        return self._record(job, "failed", *in_words(end))

    def _record(self, job: Planned, status: str, error: str, interrupted: bool) -> bool:
        before = self.before.get(job.name, NOTHING)
        if has_ended(self.folder, job.name, before):
            return True
        call = self.call(job)
        content: dict[str, Any] = {"status": status, "error": error, "choices": call.choices, "command": call.command}
        if interrupted:
            content["interrupted"] = True
        try:
            return record_outcome(self.folder, job.name, content, before)
        except OSError as error:
            self.unwritten[job.name] = in_short(error)
            return True

    def _finish(self, job: Planned, jobs: Source, here: bool = True) -> bool:
        """Tells how a job has ended, here or in another process. Returns whether it failed."""
        self.before.pop(job.name, None)
        outcome = read_outcome(self.folder, job.name)
        self.summary.old = True
        if here and outcome:
            self.here[outcome.word] += 1
        elif here:
            self.stopped.add(job.name)
        self.progress.ended(job, outcome, here)
        jobs.ended(job, outcome)
        return outcome is not None and outcome.status == "failed"

    def _look_elsewhere(self, jobs: Source) -> bool:
        """Gives back the jobs of other processes that have ended without an outcome. Returns whether one has failed."""
        failed = False
        for name, (job, end) in [*self.elsewhere.items()]:
            # In this order: whoever gives up a claim has written the outcome before.
            if is_held(self.folder / name, CLAIM):
                continue
            outcome = read_outcome(self.folder, name)
            if end == ELSEWHERE and (outcome is None or outcome.interrupted):
                del self.elsewhere[name]
                jobs.again(job)
            elif end == ELSEWHERE or self._written(job, end):
                del self.elsewhere[name]
                failed |= self._finish(job, jobs, here=False)
        return failed

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


def lasting(folder: Path, old: Plan | None, retry: str | None) -> set[int]:
    """The numbers of those jobs that are not run again, whichever code has made them: with `retry`, all that are done."""
    jobs = old.jobs if old and retry else ()
    return {job.number for job in jobs if done(read_outcome(folder, job.name), retry)}


def done(outcome: Outcome | None, retry: str | None) -> bool:
    """Whether a job needs no further run."""
    return outcome is not None and not outcome.interrupted and not (retry is not None and outcome.status == retry)
