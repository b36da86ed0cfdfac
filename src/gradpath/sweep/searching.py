"""A search, from what was typed to the best of its trials."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from gradpath.config.command_line import command_line, in_a_new_shell
from gradpath.config.job import Sweep
from gradpath.config.search import Search
from gradpath.errors import ConfigError, RunFailed, counted
from gradpath.files import relative, remove_leftovers
from gradpath.locks import hold
from gradpath.sweep.again import alone, made_with
from gradpath.sweep.conduct import call_for, conclude
from gradpath.sweep.course import Course, done
from gradpath.sweep.engine import Call
from gradpath.sweep.growth import older
from gradpath.sweep.in_process import InProcess
from gradpath.sweep.launchers import engine_for, threads_per_job
from gradpath.sweep.outcome import read_outcome
from gradpath.sweep.place import check_folder, sweep_folder
from gradpath.sweep.plan import Plan, Planned, read_plan, write_plan
from gradpath.sweep.progress import Progress
from gradpath.sweep.searched import goals
from gradpath.sweep.summary import Summary

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


def run_search(sweep: Sweep) -> None:
    """Proposes and runs what is missing of a search: none of its jobs is lost, none is run twice.

    Raises:
        ConfigError, RunFailed, SystemExit: as `run_sweep`.
    """
    search = sweep.search
    assert search is not None
    if find_spec("optuna") is None:
        raise ConfigError("hydra/sweeper=optuna: needs optuna: python -m pip install 'gradpath[search]'.")

    def match(plan: Plan) -> int:
        return 2 * (plan.search is not None and {*plan.search} == {*search.typed})

    if sweep.settings["dry_run"]:
        show_space(search, check_folder(sweep, match))
        return
    folder = sweep_folder(sweep, match)
    with hold(folder, "sweep.name"):
        remove_leftovers(folder)
        _search(sweep, search, folder)


def _search(sweep: Sweep, search: Search, folder: Path) -> None:
    from gradpath.sweep.optuna_study import LOG, best, open_study
    from gradpath.sweep.trials import Trials

    old = read_plan(folder)
    _check_same(old, search, folder)
    if old and old.jobs and not (folder / LOG).is_file():
        raise ConfigError(f"{relative(folder / LOG)}: missing; without it the search cannot go on.")
    most = search.keys["n_trials"]
    on_gpus = sweep.composition.first.config["trainer"]["accelerator"] != "cpu"
    threads = old.threads if old else threads_per_job(sweep.launcher, most, on_gpus)
    # A command of fewer trials than an earlier one does not make the search again.
    commands = tuple(dict.fromkeys([*(old.commands if old else ()), made_with(command_line())]))
    plan = Plan(commands, threads, old.jobs if old else (), tuple(search.typed), old.former if old else ())
    write_plan(folder, plan)
    study = open_study(folder, search)
    summary = Summary(folder, plan)

    def grown(jobs: Sequence[Planned], former: Sequence[Planned]) -> None:
        summary.plan = replace(plan, jobs=tuple(sorted(jobs, key=lambda job: job.number)), former=(*former,))
        write_plan(folder, summary.plan)

    place = commands.index(made_with(command_line()))
    trials = Trials(study, sweep, folder, plan, place, grown, lambda line: progress.say(line))

    def call(job: Planned) -> Call:
        progress.total = trials.total()
        return call_for(sweep, folder, summary.plan, job, trials.given[job.name])

    known = study.get_trials(deepcopy=False)
    told = sum(trial.state.is_finished() for trial in known)
    missing = max(most, len(known)) - told
    print(
        f"{relative(folder)}: {counted(told + missing, 'trial')}, {missing} to run",
        f"{told} done before" * bool(told),
        sep=", " * bool(told),
        flush=True,
    )
    aged = older(plan.jobs)
    if aged:
        print(f"{aged} of them {'was' if aged == 1 else 'were'} made by other code", flush=True)
    ended = [read_outcome(folder, job.name) for job in trials.jobs.values()]
    before = Counter(outcome.word for outcome in ended if done(outcome, None) and outcome)
    common = sweep.common_data
    engine = engine_for(folder, sweep.launcher, missing, threads, on_gpus, common) if missing else InProcess()
    with closing(engine), closing(Progress(folder, trials.total(), before, engine.places, goals(plan))) as progress:
        course = Course(folder, engine, call, progress, summary, joins=False)
        course.run(trials, sweep.settings["fail_fast"])
    found = best(study)
    conclude(folder, summary.plan, [*summary.plan.jobs], course, said_of(found, search, summary.plan))
    if not found:
        raise RunFailed(f"no trial came to an end with {' and '.join(search.objectives)}")


def _check_same(old: Plan | None, search: Search, folder: Path) -> None:
    """Raises ConfigError if the folder holds a grid, or a search for something else."""
    if old is None:
        return
    if old.search is None:
        raise ConfigError(f"{relative(folder)}: holds a grid; choose another name for a search.")
    different = [text for text in search.typed if text not in old.search] or [
        f"without {t}" for t in old.search if t not in search.typed
    ]
    if different:
        raise ConfigError(f"{different[0]}: the search in {relative(folder)} was begun otherwise; choose another name.")


def show_space(search: Search, folder: Path | None) -> None:
    """What is chosen from, and how many trials there would be; of a search that was begun, how many of its jobs are done."""
    for one in search.space.dimensions:
        ends = f"{one.text(one.low)} to {one.text(one.high)}" if one.low is not None else " ".join(one.texts)
        print(f"{one.key}: {ends}{', logarithmic' if one.log else ''}")
    plan = read_plan(folder) if folder else None
    ended = sum(done(read_outcome(folder, job.name), None) for job in plan.jobs) if folder and plan else 0
    print(
        counted(search.keys["n_trials"], "trial") + (f", {counted(ended, 'job')} done before" if ended else ""), flush=True
    )


def said_of(best: Sequence["FrozenTrial"], search: Search, plan: Plan) -> Iterator[str]:
    """A line for the best trial, or for each that no other one beats in all objectives, and one for its run alone."""
    from gradpath.sweep.optuna_study import JOB

    jobs = {job.name: job for job in plan.jobs}
    if len(search.objectives) > 1 and best:
        keys = " and ".join(search.objectives)
        yield f"{counted(len(best), 'trial')} on the front: no other is as good in {keys}, and better in one of them"
    # Trials of the same values have one job.
    for name, trial in {trial.user_attrs.get(JOB): trial for trial in reversed(best)}.items():
        values = ", ".join(f"{key} {value:.4g}" for key, value in zip(search.objectives, trial.values, strict=True))
        job = jobs.get(str(name))
        yield f"best: trial {trial.number}, {values}"
        yield f"alone: {in_a_new_shell(alone(command_line(), job.overrides), job.packages) if job else 'python '}"
