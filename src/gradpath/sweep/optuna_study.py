"""Optuna's study of a search, kept in the sweep's folder: `study.log`, a line for each thing that happened."""

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from gradpath.config.search import Search
from gradpath.config.space import Dimension
from gradpath.errors import ConfigError, first_line
from gradpath.files import relative

LOG = "study.log"
NAME = "search"
# What a trial keeps beside its values: the folder of the job that it is told the outcome of; why it has none.
JOB, WHY = "job", "why"


def open_study(folder: Path, search: Search) -> optuna.Study:
    """The study in a folder that this process holds, or a new one.

    Raises:
        ConfigError: the file is damaged.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path = folder / LOG
    _mend(path)
    pruner = optuna.pruners.MedianPruner(n_warmup_steps=search.keys["warmup"]) if search.keys["prune"] else None
    try:
        # What Optuna calls experimental is said to its developers, not to a user of ours.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study = optuna.create_study(
                storage=JournalStorage(JournalFileBackend(str(path))),
                study_name=NAME,
                directions=[*search.directions],  # type: ignore[list-item]
                pruner=pruner or optuna.pruners.NopPruner(),
                load_if_exists=True,
            )
    except OSError:
        raise
    # A damaged file can raise a dozen types of exception, from JSON's to a missing key's.
    except Exception as error:
        raise ConfigError(f"{relative(path)}: damaged ({type(error).__name__}: {first_line(error)}).") from None
    return study


def _mend(path: Path) -> None:
    """Removes what a killed process leaves: Optuna's lock, which is no lock of the system's, and a half-written line."""
    path.with_name(f"{path.name}.lock").unlink(missing_ok=True)
    if not path.exists():
        return
    with path.open("r+b") as file:
        whole = file.read().rfind(b"\n") + 1
        file.truncate(whole)


def sampler(name: str, seed: int | None, number: int) -> BaseSampler:
    """What proposes the trial of a number.

    Each has a seed of its own. So what is proposed depends on the trials before it, and not on where a search was stopped.
    """
    own = None if seed is None else (seed + 1_000_003 * number) % 2**32
    if name == "random":
        return RandomSampler(seed=own)
    return TPESampler(seed=own) if name == "tpe" else NSGAIISampler(seed=own)


def distribution(one: Dimension) -> BaseDistribution:
    """What Optuna chooses a key's value from."""
    if one.low is None or one.high is None:
        return CategoricalDistribution(one.texts)
    if one.whole:
        return IntDistribution(int(one.low), int(one.high), one.log, int(one.step or 1))
    return FloatDistribution(one.low, one.high, one.log, one.step)


def chosen(trial: Trial, dimensions: Iterable[Dimension]) -> dict[str, Any]:
    """The values of a trial. A trial that was cut short while it was proposed is proposed to its end."""
    found: dict[str, Any] = {}
    for one in dimensions:
        kind = distribution(one)
        if isinstance(kind, CategoricalDistribution):
            found[one.key] = trial.suggest_categorical(one.key, kind.choices)
        elif isinstance(kind, IntDistribution):
            found[one.key] = trial.suggest_int(one.key, kind.low, kind.high, step=kind.step, log=kind.log)
        elif isinstance(kind, FloatDistribution):
            found[one.key] = trial.suggest_float(one.key, kind.low, kind.high, step=kind.step, log=kind.log)
    return found


def running(study: optuna.Study) -> list[Trial]:
    """The trials that have been proposed and are told nothing yet, in their order."""
    found = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    # Optuna has no public way from a stored trial back to one that can be told something.
    return [Trial(study, frozen._trial_id) for frozen in found]


def more(study: optuna.Study, most: int) -> bool:
    """Whether there is a trial to propose: of the `most` that were asked for, or one that was put back."""
    trials = study.get_trials(deepcopy=False)
    return len(trials) < most or any(trial.state == TrialState.WAITING for trial in trials)


def best(study: optuna.Study) -> list[FrozenTrial]:
    """The best trial; with several objectives those that no other one beats in all; none if none came to its end."""
    try:
        return study.best_trials if len(study.directions) > 1 else [study.best_trial]
    except ValueError:
        return []
