"""`sweep.dry_run=true`: what a command would run, and what of it is done."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from gradpath.config.command_line import command_line
from gradpath.errors import counted
from gradpath.locks import CLAIM, holder, is_held
from gradpath.sweep.again import made_with
from gradpath.sweep.course import done, lasting
from gradpath.sweep.growth import extended, last_number
from gradpath.sweep.outcome import read_outcome
from gradpath.sweep.plan import Plan, Planned, read_plan
from gradpath.sweep.typed_values import same_when_equal

DONE, AT_WORK, RUN, CHANGED = "done", "at work", "to run", "to run, changed"


def show_jobs(folder: Path | None, typed: Sequence[Planned], retry: str | None) -> None:
    """Lists jobs as the sweep in a folder, or a new one, would have them; of an old sweep with their states."""
    old = read_plan(folder) if folder else None
    last, on = (last_number(folder), lasting(folder, old, retry)) if folder else (-1, set[int]())
    plan, numbers = extended(old, typed, made_with(command_line()), 1, last, on)
    asked = {*numbers.values()}
    jobs = [job for job in plan.jobs if job.number in asked]
    if folder is None or old is None:
        for job in jobs:
            print(f"{job.name}  {' '.join(job.overrides)}")
        print(counted(len(jobs), "job"), flush=True)
        return
    states = [_state(folder, old, job, retry) for job in jobs]
    for job, state in zip(jobs, states, strict=True):
        print(f"{job.name}  {state}  {' '.join(job.overrides)}")
    counts = Counter(state.partition(",")[0].removesuffix(" again") for state in states)
    said = ", ".join(f"{counts[state]} {state}" for state in (DONE, AT_WORK, RUN) if counts[state])
    changed = states.count(CHANGED)
    said += f", {changed} of them changed" if changed else ""
    print(
        f"{counted(len(jobs), 'job')}: {said}" + (f"; {holder(folder)} is at work in it" if is_held(folder) else ""),
        flush=True,
    )


def _state(folder: Path, old: Plan, job: Planned, retry: str | None) -> str:
    """`done, ok`, `at work`, `to run`, `to run again, failed`, or `to run, changed` of code or an option."""
    # In this order: whoever gives up a claim has written the outcome before.
    if is_held(folder / job.name, CLAIM):
        return AT_WORK
    outcome = read_outcome(folder, job.name)
    if outcome:
        return f"{DONE}, {outcome.status}" if done(outcome, retry) else f"{RUN} again, {outcome.status}"
    if job.number in {known.number for known in old.jobs}:
        return RUN
    values = same_when_equal(job.overrides)
    return CHANGED if any(same_when_equal(known.overrides) == values for known in old.jobs) else RUN
