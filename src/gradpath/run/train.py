"""Trains a run, from its configuration to its result."""

import signal
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from shlex import quote
from typing import Any, NoReturn

import lightning.pytorch as pl
from lightning.pytorch.utilities.exceptions import SIGTERMException

from gradpath.config.checks import check
from gradpath.config.command_line import command_line, in_a_new_shell
from gradpath.config.job import Job
from gradpath.data.memory import MemoryDataModule
from gradpath.errors import ConfigError, RunFailed, Stopped, in_one_line
from gradpath.files import RESULT, relative
from gradpath.flow import record
from gradpath.flow.callback import Start
from gradpath.flow.profile import measure
from gradpath.locks import hold
from gradpath.model.module import GradpathModule
from gradpath.model.network import count_parameters
from gradpath.model.schedules import factor_at
from gradpath.run import divergence_guard, terminal
from gradpath.run.build import build_run, build_trainer, learning_rate, planned_steps
from gradpath.run.checkpoint import LAST
from gradpath.run.final_verdict import judge
from gradpath.run.folder import Done, read_folder, record_refusal, start_folder
from gradpath.run.going_on import AS_IT_WAS, Before, protected
from gradpath.run.inspection import how_to_inspect, inspect
from gradpath.run.interrupt import stopping_all
from gradpath.run.metrics import collect
from gradpath.run.result import new_result, write_result
from gradpath.run.seeding import seed_everything
from gradpath.run.summary import show_result, show_start, show_verdict, show_warnings
from gradpath.run.tensorboard import RunLogger
from gradpath.run.trial import FORWARD, blamed, try_step

Config = Mapping[str, Any]
Choices = Mapping[str, str]
Result = dict[str, Any]
Recipe = Callable[[Config, Choices, Path, list[str]], Result]


def run(config: Config, choices: Choices, folder: Path, overrides: list[str], varied: Choices | None = None) -> Result:
    """Trains and tests one run, and writes its folder. Returns the content of `result.json`.

    Args:
        config: the whole configuration, checked and resolved, as plain dicts and lists.
        choices: the option of every group.
        folder: everything is written here.
        overrides: what was typed; `resume` needs it.
        varied: what differs between the jobs of a sweep, as typed; None for a single run.

    Raises:
        ConfigError: an input is wrong. Nothing has been written.
        RunFailed: training raised an exception, which is recorded as `failed`, unless a finished run that goes on had
            trained nothing: that is left as it was. Or the run met NaN or Inf and `fail_on_divergence` is set.
    """
    clock = Clock()
    terminal.quiet()
    seed_everything(config["seed"])
    with clock("build"):
        data, network, objective, module = build_run(config, choices)
    with clock("inspect"), blamed(config, choices, *FORWARD, "loss"):
        found = inspect(network, objective, data, **how_to_inspect(config, network, data))
    try_step(config, choices, data, module, planned_steps(config["trainer"], data))
    start = Start(found.batch.inputs, found.lines, found.verdict.as_dict())
    with ExitStack() as held:
        # A run that goes on is held before its files are read, a new one when nothing can be wrong any more.
        done = None
        if config["resume"]:
            held.enter_context(hold(folder, "resume"))
            done = read_folder(folder, config, module, planned_steps(config["trainer"], data))
        step = done.steps if done else None
        if done:
            clock.seconds["fit"] = done.seconds
        trainer = build_trainer(config, folder, objective.metric_name, step, start, varied)
        if not config["resume"]:
            held.enter_context(hold(folder, "hydra.run.dir"))
        rate_changes = changed_rate(done, config, choices, module) if done else None
        before = held.enter_context(protected(folder, bool(config["resume"])))
        start_folder(folder, config, overrides, trainer)
        show_start(config["seed"], choices, network, data.batch_size, folder, trainer)
        show_warnings(config, choices, data, found.outlook)
        if rate_changes:
            terminal.warn(rate_changes)
        show_verdict("start", found.verdict, found.profile, found.theory, found.draws)

        device = str(trainer.strategy.root_device)
        parameters = count_parameters(network)
        result = new_result(choices, config["seed"], parameters, found.as_dict(), clock.seconds, device)
        with recorded(result, folder, before), stopping_all(trainer):
            if done:
                record.cut(folder, done.steps)
            try:
                result |= fit_and_test(trainer, module, data, folder, step, clock)
            finally:
                close_loggers(trainer)
            # The profile of the weights that the run ended with. After a divergence it would be NaN and say nothing.
            profile_end = None if result["error"] else measure(network, objective, found.batch)
            result["profile_end"] = profile_end and [asdict(row) for row in profile_end]
            rate = learning_rate(config["optimizer"])
            verdict = judge(folder, found.verdict, found.profile, profile_end, network, config["optimizer"], rate)
            result["verdict"] = verdict.as_dict()
    terminal.warn_of_gaps()
    show_result(result, folder)
    show_verdict("end", verdict, profile_end)
    if config["fail_on_divergence"] and result["status"] == "diverged":
        raise RunFailed(result["error"])
    refused = [finding for finding in verdict.findings if finding.kind in config["fail_on"]]
    if refused:
        raise RunFailed(f"fail_on={refused[0].kind}: {refused[0].message}")
    return result


def changed_rate(done: Done, config: Config, choices: Mapping[str, str], module: GradpathModule) -> str | None:
    """A warning if more or fewer epochs change the learning rate with which a run goes on."""
    epochs, per_epoch, lr = config["trainer"]["max_epochs"], done.steps / done.epochs, learning_rate(config["optimizer"])
    before, after = (factor_at(module.make_schedule, round(per_epoch * n), done.steps) for n in (done.planned, epochs))
    if before is not None and after is not None and abs(after - before) > 0.01 * max(before, after):
        return (
            f"schedule={choices['schedule']} spreads over the whole run, now {epochs} epochs instead of {done.planned}: the "
            f"learning rate goes on at {after * lr:.2g} instead of {before * lr:.2g}"
        )
    return None


def fit_and_test(
    trainer: pl.Trainer, module: GradpathModule, data: MemoryDataModule, folder: Path, step: int | None, clock: "Clock"
) -> dict[str, Any]:
    """Trains, then tests the final weights unless the run diverged. Returns what is then known of the result.

    The keys are `metrics` and, after a divergence, `status` and `error`.

    Args:
        step: the optimiser steps of the checkpoint that a resumed run goes on from; None if it begins.
    """
    found = divergence_guard.load(folder)
    # A run that was killed between its divergence and its result has nothing left to train.
    if step is None or not found or found.step >= step:
        with clock("fit"):
            trainer.fit(module, data, ckpt_path=None if step is None else folder / LAST, weights_only=True)
        found = divergence_guard.load(folder)
    if found:
        return {"status": "diverged", "error": f"NaN or Inf first at {found}", "metrics": collect(folder)}
    for logger in trainer.loggers:
        if isinstance(logger, RunLogger):
            logger.end_fit()
    with clock("test"):
        trainer.test(module, data, ckpt_path=folder / LAST, weights_only=True, verbose=False)
    return {"metrics": collect(folder)}


@contextmanager
def recorded(result: dict[str, Any], folder: Path, before: Before | None = None) -> Iterator[None]:
    """Writes `result.json` however its block ends, unless the user stopped it. A stopped run can be resumed.

    Args:
        before: the finished run that goes on. As long as it stands, an exception is passed on, and `protected` puts it back.

    Raises:
        RunFailed: the block raised an exception. Its traceback is in `result.json`.
        Stopped: the user stopped the run.
    """
    try:
        yield
    except SystemExit as stopped:
        if not isinstance(stopped, SIGTERMException) and not isinstance(stopped.__context__, KeyboardInterrupt):
            error = RuntimeError(f"a user's code called sys.exit({stopped.code!r})")
            if before and before.stands:
                raise error from None
            _fail(result, folder, error)
        # Lightning exits with code 1 after Ctrl-C, and without a code, which would mean success, after SIGTERM.
        again = f"to continue: {in_a_new_shell(f'python train.py resume={quote(relative(folder))}')}"
        terminal.warn(f"stopped; {f'nothing was trained, and {AS_IT_WAS}' if before and before.stands else again}")
        raise Stopped(128 + (signal.SIGINT if stopped.code else signal.SIGTERM)) from None
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if before and before.stands:
            raise error if isinstance(error, Exception) else RuntimeError(in_one_line(error)) from error
        _fail(result, folder, error)
    try:
        write_result(folder, result)
    except OSError as error:
        # A full disk. All that has been trained is kept, and resume= can write the result.
        raise RunFailed(f"{relative(folder / RESULT)}: {error.strerror}") from error


def _fail(result: dict[str, Any], folder: Path, error: BaseException) -> NoReturn:
    """Writes down what failed, inside an `except` block. Raises RunFailed."""
    result |= {
        "status": "failed",
        "error": f"{type(error).__name__}: {in_one_line(error)}",
        "traceback": traceback.format_exc(),
    }
    # If the disk is full, there is nothing to write to.
    with suppress(OSError):
        write_result(folder, result)
        raise RunFailed(f"{result['error']} (traceback in {relative(folder / RESULT)})") from error
    raise RunFailed(result["error"]) from error


def run_job(job: Job, recipe: Recipe = run) -> None:
    """Runs one job of a command line. In a sweep, a wrong input is recorded and the other jobs go on.

    Raises:
        ConfigError: an input is wrong, and the job is not part of a sweep.
        RunFailed: as `run`; in a sweep, also for a wrong input.
    """
    try:
        if job.number is not None:
            # Each value of a sweep has been checked, but not every combination.
            check(job.config)
        recipe(job.config, job.choices, job.folder, job.overrides)
    except ConfigError as error:
        if job.number is None:
            raise
        refusal = {"status": "failed", "error": str(error), "choices": job.choices, "command": command_line()}
        with suppress(ConfigError):
            record_refusal(job.folder, refusal)
        terminal.warn(f"{relative(job.folder)}: {error}")
        raise RunFailed(f"{relative(job.folder)}: {error}") from None


def close_loggers(trainer: pl.Trainer) -> None:
    for logger in trainer.loggers:
        if isinstance(logger, RunLogger):
            logger.close()


class Clock:
    """Seconds spent in each named part of a run. What a part took before counts, too."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start
