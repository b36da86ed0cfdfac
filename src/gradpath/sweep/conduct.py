"""A sweep, from what was typed to its summary."""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from gradpath.config.command_line import command_line
from gradpath.config.job import Job, Sweep
from gradpath.errors import ConfigError, RunFailed, counted
from gradpath.files import relative, remove_leftovers
from gradpath.locks import CLAIM, hold, is_held
from gradpath.sweep.again import RETRY, made_with, names_place, to_continue
from gradpath.sweep.best import pointers
from gradpath.sweep.course import Course, done, lasting
from gradpath.sweep.dry import show_jobs
from gradpath.sweep.engine import Call
from gradpath.sweep.growth import extended, last_number, older, planned
from gradpath.sweep.in_process import InProcess
from gradpath.sweep.launchers import check_launcher, engine_for, threads_per_job
from gradpath.sweep.outcome import forget_failure, in_short, objective, read_outcome
from gradpath.sweep.own_code import check_own_code
from gradpath.sweep.place import check_folder, for_grid, sweep_folder
from gradpath.sweep.plan import Plan, Planned, read_plan, write_plan
from gradpath.sweep.progress import Progress
from gradpath.sweep.source import Listed
from gradpath.sweep.summary import Summary, said, write_summary

# So many names stand in a line.
NAMED = 4
CHANGED_CODE = "the code that trains has changed since the sweep was begun"


def run_sweep(sweep: Sweep) -> None:
    """Runs what is missing of a sweep: none of its jobs is lost, none is run twice.

    Raises:
        ConfigError: an input is wrong, or another process is at work in the sweep. No job has been started.
        RunFailed: a job failed; the others have been run.
        SystemExit: the user stopped the sweep; 130 after Ctrl-C, 143 after SIGTERM.
    """
    check_launcher(sweep.launcher)
    check_own_code(sweep)
    if sweep.search:
        # This needs Optuna, which a grid does without.
        from gradpath.sweep.searching import run_search

        run_search(sweep)
        return
    if sweep.settings["dry_run"]:
        show_jobs(check_folder(sweep, for_grid(sweep.grid)), plan_of(sweep), sweep.settings["retry"])
        return
    conclude(*conduct(sweep))


def run_batch(sweep: Sweep) -> list[Any]:
    """Runs what a sweeper proposes. Returns the objective of each job, or a list of several: NaN if it failed or diverged.

    Raises:
        ConfigError, SystemExit: as `run_sweep`.
    """
    check_launcher(sweep.launcher)
    check_own_code(sweep)
    folder, plan, jobs, course = conduct(sweep)
    write_summary(folder, plan)
    if course.asked:
        raise SystemExit(128 + course.asked[0])
    if course.changed:
        raise RunFailed(CHANGED_CODE)
    keys = sweep.settings["objective"]
    values: dict[str, Any] = {}
    for name in dict.fromkeys(job.name for job in jobs):
        outcome = read_outcome(folder, name)
        several = [objective(outcome, key) for key in ([keys] if isinstance(keys, str) else keys)]
        values[name] = several[0] if isinstance(keys, str) else several
    return [values[job.name] for job in jobs]


def conduct(sweep: Sweep) -> tuple[Path, Plan, list[Planned], Course]:
    """Runs what is missing. Returns the sweep's folder and plan, the jobs as they were typed, and what came of it.

    Raises:
        ConfigError: as `run_sweep`.
    """
    folder = sweep_folder(sweep, for_grid(sweep.grid))
    typed = plan_of(sweep)
    with ExitStack() as held:
        if not sweep.settings["join"]:
            held.enter_context(conducted(folder))
        old = read_plan(folder)
        if old and old.search is not None:
            raise ConfigError(f"{relative(folder)}: holds a search (hydra/sweeper=optuna); choose another name.")
        on_gpus = sweep.composition.first.config["trainer"]["accelerator"] != "cpu"
        threads = old.threads if old else threads_per_job(sweep.launcher, len(typed), on_gpus)
        retry = sweep.settings["retry"]
        on = lasting(folder, old, retry)
        plan, numbers = extended(old, typed, made_with(command_line()), threads, last_number(folder), on)
        if sweep.settings["join"]:
            check_joined(old, plan, folder)
        else:
            write_plan(folder, plan)
        # The number of a job in the plan -> its number on the command line.
        on_line = {numbers[number]: number for number in reversed(numbers)}
        jobs = [job for job in plan.jobs if job.number in on_line]
        if not sweep.settings["join"]:
            # Helpers find nothing to run again: each failure is, once.
            forget_failures(folder, jobs, retry)
        missing, before = [], Counter[str]()
        # One result at a time: those of a thousand jobs take a hundred megabytes.
        for job in jobs:
            outcome = read_outcome(folder, job.name)
            if outcome and done(outcome, None):
                before[outcome.word] += 1
            else:
                missing.append(job)
        show_begin(folder, plan, old, len(jobs), len(missing), sweep.settings["join"])
        # Nothing is started for a sweep that is complete.
        common = sweep.common_data
        engine = engine_for(folder, sweep.launcher, len(missing), threads, on_gpus, common) if missing else InProcess()
        with closing(engine), closing(Progress(folder, len(jobs), before, engine.places)) as progress:
            course = Course(
                folder, engine, caller(sweep, folder, plan, on_line), progress, Summary(folder, plan), sweep.settings["join"]
            )
            course.run(Listed(missing), sweep.settings["fail_fast"])
    named = {job.number: job for job in jobs}
    return folder, plan, [named[numbers[job.number]] for job in typed], course


def forget_failures(folder: Path, jobs: Iterable[Planned], retry: str | None) -> None:
    """Removes what jobs have left that are to be run again, unless a process is at work on them."""
    for job in jobs:
        outcome = read_outcome(folder, job.name)
        if outcome and not outcome.interrupted and outcome.status == retry:
            # Where nothing can be removed, nothing can be run again either.
            with suppress(ConfigError, OSError), hold(folder / job.name, name=CLAIM):
                forget_failure(folder, job.name)


@contextmanager
def conducted(folder: Path) -> Iterator[None]:
    """Holds the sweep's folder. Raises ConfigError if another process is at work in it."""
    with ExitStack() as held:
        try:
            held.enter_context(hold(folder, "sweep.name"))
        except ConfigError as error:
            raise ConfigError(f"{str(error).rstrip('.')}, or help it: sweep.join=true.") from None
        remove_leftovers(folder)
        yield


def caller(sweep: Sweep, folder: Path, plan: Plan, on_line: Mapping[int, int]) -> Callable[[Planned], Call]:
    """Makes what a job's process is given.

    Args:
        on_line: the number of a job in the plan -> its number on the command line.
    """

    def call(job: Planned) -> Call:
        return call_for(sweep, folder, plan, job, sweep.job(on_line[job.number]))

    return call


def call_for(sweep: Sweep, folder: Path, plan: Plan, job: Planned, asked: Job) -> Call:
    """What the process of a job is given."""
    return Call(
        sweep=folder,
        name=job.name,
        config=asked.config,
        choices=asked.choices,
        overrides=asked.overrides,
        varied=job.varied,
        command=plan.commands[job.command],
        code=job.code,
        packages=job.packages,
        threads=plan.threads,
        variables=sweep.variables,
    )


def plan_of(sweep: Sweep) -> list[Planned]:
    """The jobs that were typed, in their order."""
    codes: dict[frozenset[str], str] = {}
    return [planned(job, codes) for job in sweep.jobs()]


def check_joined(old: Plan | None, plan: Plan, folder: Path) -> None:
    """Raises ConfigError unless the jobs that were typed are jobs of the sweep to join."""
    assert old is not None
    if {job.number for job in old.jobs} != {job.number for job in plan.jobs}:
        raise ConfigError(f"sweep.join=true: {relative(folder)} has other jobs, or other code; join with the same command.")


def show_begin(folder: Path, plan: Plan, old: Plan | None, total: int, missing: int, joins: bool) -> None:
    """Says what is run, and what else the sweep has: jobs of other commands, and jobs that other code has trained."""
    here = "joined" if joins else "to run"
    before = f", {total - missing} done before" if missing < total else ""
    others = len(plan.jobs) - total
    beside = f", beside {counted(others, 'other')}" if others else ""
    print(f"{relative(folder)}: {counted(total, 'job')}, {missing} {here}{before}{beside}", flush=True)
    known = {job.number for job in old.former} if old else set()
    former = [job.name for job in plan.former if job.number not in known and (folder / job.name).is_dir()]
    if former:
        more = f" and {len(former) - NAMED} more" if len(former) > NAMED else ""
        print(f"kept beside, as the code or an option's file has changed: {', '.join(former[:NAMED])}{more}", flush=True)
    aged = older(plan.jobs)
    if aged:
        made = "was" if aged == 1 else "were"
        print(f"{aged} of all {counted(len(plan.jobs), 'job')} {made} made by other code", flush=True)


def state_of(folder: Path, job: Planned, course: Course) -> str:
    """What becomes of a job without an outcome when this process ends: another may be at work on it, or wait for it."""
    conducted = course.joins and is_held(folder)
    # What this process has stopped is nobody's, unless who conducts the sweep has begun it since.
    if (conducted or job.name not in course.stopped) and is_held(folder / job.name, CLAIM):
        return "at work"
    return "waiting" if conducted else "missing"


def conclude(folder: Path, plan: Plan, jobs: Sequence[Planned], course: Course, found: Iterable[str] = ()) -> None:
    """Writes the summary and the report, lists the failures, and says how to go on.

    Args:
        found: lines that say what a search has found.

    Raises:
        RunFailed, SystemExit: as `run_sweep`.
    """
    jobs = [*{job.number: job for job in jobs}.values()]
    unwritten, further = dict(course.unwritten), list[str]()
    try:
        # Who conducts the sweep writes it.
        if not course.joins or not is_held(folder):
            further = [*pointers(write_summary(folder, plan))]
    except OSError as error:
        unwritten["the summary"] = in_short(error)
    counts, interrupted = Counter[str](), 0
    for job in jobs:
        outcome = read_outcome(folder, job.name)
        counts[outcome.word if outcome else state_of(folder, job, course)] += 1
        if outcome and outcome.status == "failed":
            interrupted += outcome.interrupted
            print(f"{outcome.word}: {job.name}: {outcome.error}", flush=True)
    for what, why in unwritten.items():
        print(f"not written: {what}: {why}", flush=True)
    # Trials of the same values have one job.
    share = f"{course.trials} trials, {len(jobs)} jobs: " if course.trials not in (None, len(jobs)) else ""
    if course.joins:
        ran = f"{counted(course.here.total(), 'job')} ({said(course.here)})" if course.here else "no job"
        share = f"ran {ran} here; of all {counted(len(jobs), 'job')} "
    print(f"{relative(folder)}: {share}{said(counts)}", *found, *further, sep="\n", flush=True)
    if course.asked:
        if counts["at work"] and not (course.joins and is_held(folder)):
            print(
                f"{counted(counts['at work'], 'job')} at work in another process, which goes on with the others", flush=True
            )
        more = ["sweep.join=true"] * (course.joins and is_held(folder)) + [RETRY] * (older(jobs) > 0)
        print(f"stopped; to continue: {to_continue(command_line(), folder, *more)}", file=sys.stderr, flush=True)
        raise SystemExit(128 + course.asked[0])
    again = "the same command" if names_place(command_line()) else f"sweep.name={folder.name}"
    lacks = {
        f"failed; {RETRY} runs them again, and only them, even if the code has changed": counts["failed"],
        f"were ended from outside; {again} goes on with them": interrupted,
        f"are missing; {again} runs them": counts["missing"],
    }
    said_of: list[str] = []
    if course.changed:
        # What is done is done with older code now.
        lacks = dict(zip(("failed", "were ended from outside", "are missing"), lacks.values(), strict=True))
        said_of.append(f"{CHANGED_CODE}; {again} runs all jobs with the new code, and with {RETRY} only those not done")
    said_of += [f"{number} of {len(jobs)} jobs {what}" for what, number in lacks.items() if number]
    if "the summary" in unwritten:
        said_of.append(f"the summary could not be written; {again} writes it")
    if said_of:
        raise RunFailed(". ".join(said_of))
