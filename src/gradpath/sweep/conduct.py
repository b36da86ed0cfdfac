"""A sweep, from what was typed to its summary."""

import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from gradpath.config.job import Sweep
from gradpath.errors import ConfigError, RunFailed
from gradpath.files import relative
from gradpath.locks import hold
from gradpath.sweep.course import Course, done
from gradpath.sweep.engine import Call
from gradpath.sweep.launchers import check_launcher, engine_for, threads_per_job
from gradpath.sweep.outcome import read_outcome
from gradpath.sweep.place import sweep_folder
from gradpath.sweep.plan import Plan, Planned, extended, planned, read_plan, write_plan
from gradpath.sweep.progress import Progress
from gradpath.sweep.summary import Summary, said, write_summary


def run_sweep(sweep: Sweep) -> None:
    """Runs what is missing of a sweep: none of its jobs is lost, none is run twice.

    Raises:
        ConfigError: an input is wrong, or another process is at work in the sweep. No job has been started.
        RunFailed: a job failed; the others have been run.
        SystemExit: the user stopped the sweep; 130 after Ctrl-C, 143 after SIGTERM.
    """
    check_launcher(sweep.launcher)
    if sweep.settings["dry_run"]:
        show_jobs(sweep)
        return
    typed = plan_of(sweep)
    folder = sweep_folder(sweep, typed)
    with ExitStack() as held:
        if not sweep.settings["join"]:
            held.enter_context(hold(folder, "sweep.name"))
        old = read_plan(folder)
        on_gpus = sweep.composition.first.config["trainer"]["accelerator"] != "cpu"
        threads = old.threads if old else threads_per_job(sweep.launcher, len(typed), on_gpus)
        kept, numbers = extended(old.jobs if old else (), typed)
        plan = Plan(command(), threads, tuple(kept))
        if sweep.settings["join"]:
            check_joined(old, plan, folder)
        else:
            write_plan(folder, plan)
        # The number of a job in the plan -> its number on the command line.
        on_line = {numbers[number]: number for number in reversed(numbers)}
        jobs = [job for job in kept if job.number in on_line]
        found = {job.name: read_outcome(folder, job.name) for job in jobs}
        retry = sweep.settings["retry"]
        missing = [job for job in jobs if not done(found[job.name], retry)]

        def call(job: Planned) -> Call:
            asked = sweep.job(on_line[job.number])
            return Call(
                folder, job.name, asked.config, asked.choices, asked.overrides, plan.command, threads, sweep.variables,
                again=retry == "failed",
            )  # fmt: skip

        before = Counter(outcome.status for outcome in found.values() if outcome and done(outcome, retry))
        show_begin(folder, len(jobs), len(missing), sweep.settings["join"])
        engine = engine_for(sweep.launcher, len(missing), threads, on_gpus)
        with closing(engine), closing(Progress(folder, len(jobs), before, engine.places)) as progress:
            course = Course(folder, engine, call, progress, Summary(folder, plan), sweep.settings["join"])
            complete = course.run(missing, sweep.settings["fail_fast"])
        conclude(folder, plan, jobs, course, complete)


def plan_of(sweep: Sweep) -> list[Planned]:
    """The jobs that were typed, in their order."""
    codes: dict[frozenset[str], str] = {}
    return [
        planned(job, sweep.grid.varied(place), codes) for job, place in zip(sweep.jobs(), sweep.grid.places(), strict=True)
    ]


def check_joined(old: Plan | None, plan: Plan, folder: Path) -> None:
    """Raises ConfigError unless the jobs that were typed are jobs of the sweep to join."""
    if old is None:
        raise ConfigError(f"sweep.join=true: there is no sweep in {relative(folder)} to join.")
    if {job.number for job in old.jobs} != {job.number for job in plan.jobs}:
        raise ConfigError(f"sweep.join=true: {relative(folder)} has other jobs, or other code; join with the same command.")


def show_jobs(sweep: Sweep) -> None:
    for job in sweep.jobs():
        print(f"{job.folder.name}  {' '.join(job.overrides)}")
    print(f"{len(sweep.grid)} jobs", flush=True)


def show_begin(folder: Path, total: int, missing: int, joins: bool) -> None:
    here = "joined" if joins else "to run"
    known = f", {total - missing} done before" if missing < total else ""
    print(f"{relative(folder)}: {total} jobs, {missing} {here}{known}", flush=True)


def conclude(folder: Path, plan: Plan, jobs: Sequence[Planned], course: Course, complete: bool) -> None:
    """Writes the summary and the report, lists the failures, and says how to go on.

    Raises:
        RunFailed, SystemExit: as `run_sweep`.
    """
    try:
        write_summary(folder, plan)
    except OSError as error:
        course.unwritten["the summary"] = f"{error.filename}: {error.strerror}"
    ended = {job.name: read_outcome(folder, job.name) for job in jobs}
    counts = Counter(outcome.status if outcome else "missing" for outcome in ended.values())
    for name, outcome in ended.items():
        if outcome and outcome.status == "failed":
            print(f"failed: {name}: {outcome.error}", flush=True)
    for what, why in course.unwritten.items():
        print(f"not written: {what}: {why}", flush=True)
    print(f"{relative(folder)}: {said(counts)}", flush=True)
    if course.asked:
        print(f"stopped; to continue: {plan.command} sweep.name={folder.name}", file=sys.stderr, flush=True)
        raise SystemExit(128 + course.asked[0])
    if counts["failed"] or course.unwritten or (counts["missing"] and not course.joins):
        raise RunFailed(f"{counts['failed']} of {len(jobs)} jobs failed; sweep.retry=failed runs them again")


def command() -> str:
    """The command line as typed."""
    return " ".join([Path(sys.executable).name, *sys.argv])
