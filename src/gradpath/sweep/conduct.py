"""A sweep, from what was typed to its summary."""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from gradpath.config.job import Job, Sweep
from gradpath.errors import ConfigError, RunFailed, counted
from gradpath.files import relative, remove_leftovers
from gradpath.locks import hold
from gradpath.sweep.course import Course, done
from gradpath.sweep.engine import Call
from gradpath.sweep.in_process import InProcess
from gradpath.sweep.launchers import check_launcher, engine_for, threads_per_job
from gradpath.sweep.outcome import objective, read_outcome
from gradpath.sweep.place import check_folder, for_grid, sweep_folder
from gradpath.sweep.plan import Plan, Planned, extended, last_number, planned, read_plan, write_plan
from gradpath.sweep.progress import Progress
from gradpath.sweep.rows import varied_keys
from gradpath.sweep.source import Listed
from gradpath.sweep.summary import Summary, said, write_summary


def run_sweep(sweep: Sweep) -> None:
    """Runs what is missing of a sweep: none of its jobs is lost, none is run twice.

    Raises:
        ConfigError: an input is wrong, or another process is at work in the sweep. No job has been started.
        RunFailed: a job failed; the others have been run.
        SystemExit: the user stopped the sweep; 130 after Ctrl-C, 143 after SIGTERM.
    """
    check_launcher(sweep.launcher)
    if sweep.search:
        # This needs Optuna, which a grid does without.
        from gradpath.sweep.searching import run_search

        run_search(sweep)
        return
    if sweep.settings["dry_run"]:
        check_folder(sweep, for_grid(sweep.grid))
        show_jobs(sweep)
        return
    conclude(*conduct(sweep))


def run_batch(sweep: Sweep) -> list[Any]:
    """Runs what a sweeper proposes. Returns the objective of each job, or a list of several: NaN if it failed or diverged.

    Raises:
        ConfigError, SystemExit: as `run_sweep`.
    """
    check_launcher(sweep.launcher)
    folder, plan, jobs, course = conduct(sweep)
    write_summary(folder, plan)
    if course.asked:
        raise SystemExit(128 + course.asked[0])
    keys = sweep.settings["objective"]
    values: dict[tuple[str, str], Any] = {}
    for job in jobs:
        outcome = read_outcome(folder, job.name)
        several = [objective(outcome, key) for key in ([keys] if isinstance(keys, str) else keys)]
        values[job.config, job.code] = several[0] if isinstance(keys, str) else several
    return [values[job.config, job.code] for job in plan_of(sweep)]


def conduct(sweep: Sweep) -> tuple[Path, Plan, list[Planned], Course]:
    """Runs what is missing. Returns the sweep's folder and plan, the jobs that were asked for, and what came of it.

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
        kept, numbers = extended(old.jobs if old else (), typed, last_number(folder))
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

        before = Counter(outcome.status for outcome in found.values() if outcome and done(outcome, retry))
        show_begin(folder, len(jobs), len(missing), sweep.settings["join"])
        data = sweep.composition.first.config["data"] if sweep.settings["common_data"] else None
        # Nothing is started for a sweep that is complete.
        engine = engine_for(folder, sweep.launcher, len(missing), threads, on_gpus, data) if missing else InProcess()
        with closing(engine), closing(Progress(folder, len(jobs), before, engine.places)) as progress:
            course = Course(
                folder, engine, caller(sweep, folder, plan, on_line), progress, Summary(folder, plan), sweep.settings["join"]
            )
            course.run(Listed(missing), sweep.settings["fail_fast"])
    return folder, plan, jobs, course


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
    keys = varied_keys(plan.jobs)

    def call(job: Planned) -> Call:
        varied = {key: value for key, value in job.varied.items() if key in keys}
        return call_for(sweep, folder, plan, job.name, sweep.job(on_line[job.number]), varied)

    return call


def call_for(sweep: Sweep, folder: Path, plan: Plan, name: str, asked: Job, varied: Mapping[str, str]) -> Call:
    """What the process of a job is given.

    Args:
        name: of the job's folder.
    """
    return Call(
        sweep=folder,
        name=name,
        config=asked.config,
        choices=asked.choices,
        overrides=asked.overrides,
        varied=varied,
        command=plan.command,
        threads=plan.threads,
        variables=sweep.variables,
        again=sweep.settings["retry"] == "failed",
    )


def plan_of(sweep: Sweep) -> list[Planned]:
    """The jobs that were typed, in their order."""
    codes: dict[frozenset[str], str] = {}
    return [
        planned(job, sweep.grid.varied(place), codes) for job, place in zip(sweep.jobs(), sweep.grid.places(), strict=True)
    ]


def check_joined(old: Plan | None, plan: Plan, folder: Path) -> None:
    """Raises ConfigError unless the jobs that were typed are jobs of the sweep to join."""
    assert old is not None
    if {job.number for job in old.jobs} != {job.number for job in plan.jobs}:
        raise ConfigError(f"sweep.join=true: {relative(folder)} has other jobs, or other code; join with the same command.")


def show_jobs(sweep: Sweep) -> None:
    for job in sweep.jobs():
        print(f"{job.folder.name}  {' '.join(job.overrides)}")
    print(counted(len(sweep.grid), "job"), flush=True)


def show_begin(folder: Path, total: int, missing: int, joins: bool) -> None:
    here = "joined" if joins else "to run"
    known = f", {total - missing} done before" if missing < total else ""
    print(f"{relative(folder)}: {counted(total, 'job')}, {missing} {here}{known}", flush=True)


def conclude(folder: Path, plan: Plan, jobs: Sequence[Planned], course: Course, found: Iterable[str] = ()) -> None:
    """Writes the summary and the report, lists the failures, and says how to go on.

    Args:
        found: lines that say what a search has found.

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
    print(f"{relative(folder)}: {said(counts)}", *found, sep="\n", flush=True)
    if course.asked:
        print(f"stopped; to continue: {plan.command} sweep.name={folder.name}", file=sys.stderr, flush=True)
        raise SystemExit(128 + course.asked[0])
    if counts["failed"] or course.unwritten or (counts["missing"] and not course.joins):
        raise RunFailed(f"{counts['failed']} of {counted(len(jobs), 'job')} failed; sweep.retry=failed runs them again")


def command() -> str:
    """The command line as typed."""
    return " ".join([Path(sys.executable).name, *sys.argv])
