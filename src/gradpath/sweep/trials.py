"""The trials of a search, as a source of jobs: each is proposed when there is a place for it, and told as it ends."""

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import Trial, TrialState

from gradpath.config.job import Job, Sweep
from gradpath.config.search import Search
from gradpath.errors import ConfigError
from gradpath.files import CURVES
from gradpath.sweep.course import done
from gradpath.sweep.curve import Curve
from gradpath.sweep.growth import planned
from gradpath.sweep.optuna_study import JOB, WHY, chosen, more, running, sampler
from gradpath.sweep.outcome import Outcome, lacks, objective, read_outcome
from gradpath.sweep.plan import Plan, Planned


class Trials:
    """Proposes jobs and tells how they ended: FAIL for one that failed or diverged, or has no such number.

    In a killed search, a trial is in one of these states, and goes on from there: without all its values; with values but no
    job in the plan; with a job that has no outcome; with one that has. Only the last is told, once.

    Args:
        plan: as it is, with the jobs whose trials were proposed again as former ones.
        command: which of its commands proposes now.
        grown: called with all jobs, and with the former ones, before a new one begins.
        say: prints a line.
    """

    def __init__(
        self,
        study: optuna.Study,
        sweep: Sweep,
        folder: Path,
        plan: Plan,
        command: int,
        grown: Callable[[Sequence[Planned], Sequence[Planned]], None],
        say: Callable[[str], None],
    ) -> None:
        assert sweep.search is not None
        self.search: Search = sweep.search
        self.study, self.sweep, self.folder, self.say = study, sweep, folder, say
        self.jobs = {job.number: job for job in plan.jobs}
        # What each job that was handed out is given.
        self.given: dict[str, Job] = {}
        self._grown, self._former, self._command = grown, [*plan.former], command
        self._codes: dict[frozenset[str], str] = {}
        # Trials that wait for a job's end, by the job's name; those of them that take up a place.
        self._waiting: dict[str, list[Trial]] = {}
        self._placed: set[int] = set()
        # The curve of each job that is handed out and has not ended; those that were told to stop.
        self._running: dict[str, Curve] = {}
        self._stopped: set[str] = set()
        self._again: deque[Planned] = deque()
        # Whether a job has come to its end without what the search looks at. No further one begins then.
        self._pointless = False
        self._put_back()
        self._resumed = deque(running(study))

    def next(self, places: int) -> Planned | None:
        if self._pointless:
            return None
        if self._again:
            return self._again.popleft()
        # A trial that waits for another one's job takes up a place: so long, nothing is proposed without knowing it.
        while len(self._placed) < places and self.left():
            job = self._job(self._proposed())
            if job:
                return job
        return None

    def _proposed(self) -> Trial:
        """The next trial: one that a killed search has begun, or a new one."""
        number = self._resumed[0].number if self._resumed else self.trials()
        self.study.sampler = sampler(self.search.keys["sampler"], self.search.keys["seed"], number)
        return self._resumed.popleft() if self._resumed else self.study.ask()

    def left(self) -> bool:
        if self._pointless:
            return False
        return bool(self._again or self._resumed or more(self.study, self.search.keys["n_trials"]))

    def again(self, job: Planned) -> None:
        self._again.append(job)

    def ended(self, job: Planned, outcome: Outcome | None) -> None:
        curve = self._running.pop(job.name, None)
        self._stopped.discard(job.name)
        self._placed -= {trial.number for trial in self._waiting.get(job.name, [])}
        if outcome is None or not done(outcome, None):
            # It goes on when the search does.
            return
        for trial in self._waiting.pop(job.name, []):
            if curve and self.search.keys["prune"] and trial.number == job.number:
                # Those that come have all its epochs to be compared with.
                self._report(trial, curve)
            self._tell(trial, job, outcome)

    def hopeless(self) -> Mapping[str, str]:
        found: dict[str, str] = {}
        if self.search.keys["prune"]:
            for name in self._running.keys() - self._stopped:
                why = self._report(self._waiting[name][0], self._running[name])
                if why:
                    found[name] = why
                    self._stopped.add(name)
        return found

    def total(self) -> int:
        """How many jobs there will be, unless trials to come are the same as others."""
        known = self.study.get_trials(deepcopy=False)
        waiting = sum(trial.state == TrialState.WAITING for trial in known)
        resumed = sum(trial.number not in self.jobs for trial in self._resumed)
        return len(self.jobs) + waiting + resumed + max(0, int(self.search.keys["n_trials"]) - len(known))

    def trials(self) -> int:
        return len(self.study.get_trials(deepcopy=False))

    def _job(self, trial: Trial) -> Planned | None:
        """The job of a trial; None if there is none to begin for it."""
        values = chosen(trial, self.search.space.dimensions)
        try:
            asked = self.sweep.proposed(trial.number, values)
        except ConfigError as error:
            self._fail(trial, str(error))
            self.say(f"trial {trial.number} cannot be run: {error}")
            return None
        new = replace(planned(asked, self._codes, self.search.space.varied(values)), command=self._command)
        own = self.jobs.get(trial.number)
        if own and (own.config, own.code) != (new.config, new.code):
            self._replace(trial, own, "the code or an option's file has changed since it began")
            return None
        known = {(job.config, job.code): job for job in self.jobs.values()}
        job = known.get((new.config, new.code), new)
        if trial.user_attrs.get(JOB) != job.name:
            trial.set_user_attr(JOB, job.name)
        if job is new:
            self.jobs[job.number] = job
            self._grown([*self.jobs.values()], self._former)
        self.given[job.name] = asked
        self._waiting.setdefault(job.name, []).append(trial)
        self._placed.add(trial.number)
        outcome = read_outcome(self.folder, job.name)
        if done(outcome, None):
            self.ended(job, outcome)
            return None
        if job.name in self._running:
            return None
        self._running[job.name] = Curve(self.folder / job.name / CURVES, self.search.objectives[0].partition(".")[2])
        return job

    def _report(self, trial: Trial, curve: Curve) -> str | None:
        """Reports the epochs that a job has done since the last look. Returns why it is to be stopped, if it is."""
        known = self.study.get_trials(deepcopy=False)[trial.number].intermediate_values
        for epoch, value in curve.new():
            # A run that diverges says so itself, and Optuna warns of numbers that are none.
            if epoch not in known and math.isfinite(value):
                trial.report(value, epoch)
                if trial.should_prune():
                    return f"stopped after epoch {epoch}: {self.search.objectives[0]} {value:.4g}, worse than most others"
        return None

    def _tell(self, trial: Trial, job: Planned, outcome: Outcome) -> None:
        values = [objective(outcome, key) for key in self.search.objectives]
        if outcome.status == "pruned":
            self.study.tell(trial, state=TrialState.PRUNED)
        elif all(map(math.isfinite, values)):
            self.study.tell(trial, values)
        else:
            lacking = [key for key, value in zip(self.search.objectives, values, strict=True) if not math.isfinite(value)]
            self._fail(trial, outcome.error or f"no number {', '.join(lacking)} in result.json")
            if outcome.status == "ok":
                self.say(f"{job.name}: no number {', '.join(lacking)} in its result.json")
                # No other trial will have it.
                self._pointless |= any(lacks(outcome, key) for key in lacking)

    def _fail(self, trial: Trial, why: str) -> None:
        trial.set_user_attr(WHY, why)
        self.study.tell(trial, state=TrialState.FAIL)

    def _put_back(self) -> None:
        """Proposes again what `sweep.retry` names: as new trials, because a trial is told one thing only."""
        retry = self.sweep.settings["retry"]
        for trial in self.study.get_trials(deepcopy=False) if retry else []:
            job = self.jobs.get(trial.number)
            outcome = read_outcome(self.folder, job.name) if job else None
            if job and trial.state.is_finished() and outcome and not done(outcome, retry):
                self._enqueue(trial.params, job)

    def _replace(self, trial: Trial, own: Planned, why: str) -> None:
        self._enqueue(trial.params, own)
        self._fail(trial, why)

    def _enqueue(self, values: Mapping[str, Any], own: Planned) -> None:
        """Proposes values again. The new trial's job takes the place of the old one in the plan."""
        self.study.enqueue_trial(dict(values))
        self._former.append(self.jobs.pop(own.number))
        self._grown([*self.jobs.values()], self._former)
