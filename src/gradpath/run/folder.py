"""What a run is made of, written into its folder; and what must be there, read, before a run goes on."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from omegaconf import OmegaConf

from gradpath.config.checks import check_resumed
from gradpath.config.resume import read_config
from gradpath.errors import ConfigError
from gradpath.files import CONFIG, CURVES, OVERRIDES, RESULT, aside, relative, remove_leftovers, write_text
from gradpath.flow import record
from gradpath.locks import hold
from gradpath.model.module import GradpathModule
from gradpath.run import divergence_guard
from gradpath.run.checkpoint import BEST, LAST, load_checkpoint, seconds_of
from gradpath.run.checkpoint_state import check_counts, check_state
from gradpath.run.metrics import MetricsFile
from gradpath.run.result import write_result
from gradpath.run.saved import check_curves
from gradpath.saved_json import read_json


def check_free(folder: Path) -> None:
    """Raises ConfigError if the folder holds a run or a look. A refused job of a sweep is neither."""
    if (folder / OVERRIDES).exists() or ((folder / RESULT).exists() and not _is_refusal(folder / RESULT)):
        raise ConfigError(
            f"hydra.run.dir={relative(folder)}: holds a run already; continue it with resume=, or choose another folder."
        )


def start_folder(folder: Path, config: Mapping[str, Any], overrides: list[str], trainer: pl.Trainer) -> None:
    """Writes what a run is made of into its folder, which this process holds.

    A folder that has `overrides.yaml` can be resumed, and one that has `result.json` has come to its end: the first is
    written last, and the second is put aside after what was typed for a run that goes on.

    Raises:
        ConfigError: the folder holds a run already. Nothing has been written.
    """
    if not config["resume"]:
        check_free(folder)
        remove_all_leftovers(folder)
    # Of what was typed again when the run went on, the last counts.
    typed = {text.split("=")[0]: text for text in overrides if not text.startswith(("resume=", "hydra."))}
    kept = OmegaConf.to_yaml(OmegaConf.create([*typed.values()]))
    if config["resume"]:
        write_text(folder / OVERRIDES, kept)
        if (folder / RESULT).exists():
            (folder / RESULT).replace(aside(folder / RESULT))
    (folder / RESULT).unlink(missing_ok=True)
    write_text(folder / CONFIG, OmegaConf.to_yaml(OmegaConf.create(dict(config))))
    for logger in trainer.loggers:
        if isinstance(logger, MetricsFile):
            logger.start()
    if not config["resume"]:
        write_text(folder / OVERRIDES, kept)


def remove_all_leftovers(folder: Path) -> None:
    """Removes what killed writers left, and what was kept aside, in the folder of a run and in its `checkpoints`."""
    for place in (folder, (folder / LAST).parent):
        remove_leftovers(place)


@dataclass(frozen=True)
class Done:
    """What a run had done when it ended or was stopped.

    steps, epochs: of its last checkpoint. planned: the epochs that it was begun for, or last continued for.
    seconds: of training up to that checkpoint, in all attempts.
    """

    steps: int
    epochs: int
    planned: int
    seconds: float


def read_folder(folder: Path, config: Mapping[str, Any], module: GradpathModule, steps: int) -> Done | None:
    """Reads and checks all that a resumed run goes on from. Returns what it had done; None before the first checkpoint.

    Args:
        config, module: the configuration of the run that goes on, and what it will train.
        steps: the optimiser steps of the whole run.

    Raises:
        ConfigError: a file is damaged, or the configuration is not that of the run, or has fewer epochs than were done.
    """
    for name in (CONFIG, OVERRIDES, RESULT, CURVES, record.FILE, divergence_guard.FILE, LAST, BEST):
        # A link that leads nowhere does not exist, but it is there.
        if os.path.lexists(folder / name) and not (folder / name).is_file():
            raise ConfigError(f"{relative(folder / name)}: must be a file.")
    checkpoints = (folder / LAST).parent
    if os.path.lexists(checkpoints) and not checkpoints.is_dir():
        raise ConfigError(f"{relative(checkpoints)}: must be a folder.")
    if (folder / divergence_guard.FILE).is_file():
        _check_readable(folder / divergence_guard.FILE, lambda: divergence_guard.load(folder))
    checkpoint = load_checkpoint(folder / LAST, module.network) if (folder / LAST).is_file() else None
    before = read_config(folder)
    check_resumed(before, config)
    if checkpoint is None:
        if _status(folder / RESULT) == "ok":
            raise ConfigError(f"{relative(folder / LAST)}: missing; the run cannot go on without it.")
        return None
    check_counts(folder / LAST, checkpoint)
    done, wanted = checkpoint["epoch"] + 1, config["trainer"]["max_epochs"]
    if 0 <= wanted < done:
        raise ConfigError(f"trainer.max_epochs={wanted}: the run has done {done} epochs already.")
    _check_readable(folder / CURVES, lambda: check_curves(folder))
    if config["probe"]["every"] or (folder / record.FILE).is_file():
        layers = [layer.name for layer in module.network.summary()]
        _check_readable(folder / record.FILE, lambda: record.check(folder, layers))
    # A scaled gradient may overflow, and a run diverge, before the optimiser has made a step.
    stepped = not (folder / divergence_guard.FILE).is_file() and "16-mixed" not in str(before["trainer"]["precision"])
    check_state(folder / LAST, checkpoint, module, config["trainer"], steps, stepped)
    seconds = seconds_of(checkpoint["callbacks"]["EpochCheckpoints"])
    return Done(checkpoint["global_step"], done, before["trainer"]["max_epochs"], seconds)


def record_refusal(folder: Path, result: Mapping[str, Any]) -> None:
    """Writes the `result.json` of a sweep's job that could not begin, unless another run is in its folder.

    Raises:
        ConfigError: a run is in the folder, or at work in it. Nothing has been written.
    """
    with hold(folder, "hydra.run.dir"):
        check_free(folder)
        write_result(folder, result)


def _check_readable(path: Path, read: Callable[[], object]) -> None:
    if not path.is_file():
        raise ConfigError(f"{relative(path)}: missing; the run cannot go on without it.")
    try:
        read()
    # A damaged file can raise a dozen types of exception, from zipfile's to csv's.
    except Exception as error:
        raise ConfigError(f"{relative(path)}: damaged ({type(error).__name__}).") from None


def _is_refusal(path: Path) -> bool:
    return _status(path) == "failed" and "profile" not in read_json(path)


def _status(path: Path) -> Any:
    """The status in a `result.json`; None if it is missing or damaged."""
    try:
        return read_json(path).get("status")
    except ConfigError:
        return None
