"""Checks what a checkpoint holds beside its weights against the run that would go on from it.

The same objects are built anew, and what they hold is the model of what the file must hold.
"""

from collections.abc import Mapping
from math import isnan
from pathlib import Path
from typing import Any

import torch
from packaging.version import InvalidVersion, Version
from torch import Tensor, nn

from gradpath.model.module import GradpathModule
from gradpath.model.network import MLP
from gradpath.run.build import new_trainer
from gradpath.run.checkpoint import is_plain, same_kind, unreadable
from gradpath.run.saved import LARGEST

LOOPS = ("fit_loop", "validate_loop", "test_loop")


class MisfitError(ValueError):
    """A part of the checkpoint cannot be what the run wrote. The text names the part."""


def check_counts(path: Path, checkpoint: Mapping[str, Any]) -> None:
    """Raises ConfigError unless the epoch and the step of a checkpoint are counts."""
    for name in ("epoch", "global_step"):
        count = checkpoint.get(name)
        if type(count) is not int or not 0 <= count < LARGEST:
            raise unreadable(path, f"{name} is no count")


def check_state(
    path: Path,
    checkpoint: Mapping[str, Any],
    module: GradpathModule,
    trainer: Mapping[str, Any],
    steps: int,
    stepped: bool,
) -> None:
    """Checks all that Lightning restores of a run.

    Args:
        trainer: the keys of the option `trainer`.
        steps: the optimiser steps of the whole run.
        stepped: whether the optimiser must have made a step; not in a run that has diverged at its first one, say.

    Raises:
        ConfigError: a part is missing, or cannot be what a run of this configuration wrote.
    """
    try:
        _check_version(checkpoint.get("pytorch-lightning_version"))
        _check_loops(checkpoint, trainer)
        _check_callbacks(checkpoint.get("callbacks"), module.network)
        _check_random(checkpoint)
        _check_optimizer(checkpoint, module, steps, stepped)
    except MisfitError as error:
        raise unreadable(path, str(error)) from None


def check_alike(saved: Any, model: Any, place: str, exact: bool = False) -> None:
    """Raises MisfitError unless `saved` is built as `model` is: the same keys, lengths, shapes and types of numbers.

    What a dict of the model holds may be missing, unless it is a dict or a list itself: versions of torch add keys.

    Args:
        exact: no dict of `saved` has a key that the model lacks.
    """
    fits = True
    if isinstance(model, Tensor):
        fits = is_plain(saved) and saved.shape == model.shape and same_kind(saved, model)
    elif isinstance(model, Mapping):
        fits = isinstance(saved, dict) and not (exact and saved.keys() - model.keys())
        for key, value in model.items() if fits else ():
            if key in saved or isinstance(value, Mapping | list | tuple):
                check_alike(saved.get(key), value, f"{place}.{key}", exact)
    elif isinstance(model, list | tuple):
        fits = isinstance(saved, list | tuple) and len(saved) == len(model)
        for number, value in enumerate(model) if fits else ():
            check_alike(saved[number], value, f"{place}.{number}", exact)
    elif isinstance(model, bool):
        fits = saved is None or isinstance(saved, bool)
    elif isinstance(model, int):
        whole = isinstance(saved, int) and not isinstance(saved, bool)
        fits = isinstance(saved, float) or (whole and abs(saved) < LARGEST and (saved >= 0 or model < 0))
    elif isinstance(model, float):
        whole = isinstance(saved, int) and not isinstance(saved, bool) and abs(saved) < LARGEST
        fits = whole or (isinstance(saved, float) and not isnan(saved))
    elif model is not None:
        fits = isinstance(saved, type(model))
    if not fits:
        raise MisfitError(f"{place} does not fit")


def _check_version(version: Any) -> None:
    try:
        Version(version)
    except (InvalidVersion, TypeError):
        raise MisfitError("pytorch-lightning_version is no version") from None


def _check_loops(checkpoint: Mapping[str, Any], trainer: Mapping[str, Any]) -> None:
    kept = {key: trainer[key] for key in ("accelerator", "precision")}
    fresh = new_trainer(**kept, devices=1, logger=False, enable_checkpointing=False)
    loops = checkpoint.get("loops")
    if not isinstance(loops, dict):
        raise MisfitError("loops is missing")
    for name in LOOPS:
        check_alike(loops.get(name), getattr(fresh, name).state_dict(), name, exact=True)
    fit = loops["fit_loop"]
    counted = (
        fit["epoch_progress"]["current"].get("completed"),
        fit["epoch_loop.automatic_optimization.optim_progress"]["optimizer"]["step"]["total"].get("completed"),
    )
    if counted != (checkpoint["epoch"], checkpoint["global_step"]):
        raise MisfitError("fit_loop has counted otherwise")


def _check_callbacks(callbacks: Any, network: MLP) -> None:
    if not isinstance(callbacks, dict):
        raise MisfitError("callbacks is missing")
    check_alike(callbacks.get("EpochCheckpoints"), {"best": 0.0, "seconds": 0.0}, "EpochCheckpoints", exact=True)
    silent = callbacks.get("FlowCallback", {})
    units = {str(i): (torch.zeros(linear.out_features, dtype=torch.int64), 0) for i, linear in enumerate(network.linears)}
    if not isinstance(silent, dict) or silent.keys() - units.keys() or "best" not in callbacks["EpochCheckpoints"]:
        raise MisfitError("callbacks do not fit")
    check_alike(silent, {layer: units[layer] for layer in silent}, "FlowCallback")


def _check_random(checkpoint: Mapping[str, Any]) -> None:
    others = checkpoint.get("cuda_rng_state")
    if not isinstance(others, list) or not all(is_plain(state) and state.dtype == torch.uint8 for state in others):
        raise MisfitError("cuda_rng_state does not fit")
    check_alike(checkpoint.get("rng_state"), torch.get_rng_state(), "rng_state")
    try:
        torch.Generator().set_state(checkpoint["rng_state"])
    except RuntimeError:
        raise MisfitError("rng_state is no state") from None


def _check_optimizer(checkpoint: Mapping[str, Any], module: GradpathModule, steps: int, stepped: bool) -> None:
    """Loads the states into an optimiser and a schedule like the run's, and makes a step with them."""
    with torch.random.fork_rng(devices=[]):
        parameters = [nn.Parameter(torch.zeros_like(p, device="cpu")) for p in module.network.parameters()]
        optimizer = module.make_optimizer(parameters)
        schedule = module.make_schedule(optimizer, steps)
        # An optimiser that cannot make a step here is not the file's fault.
        runs = _step(optimizer, parameters) is None
        if not (stepped and runs):
            optimizer = module.make_optimizer(parameters)
            schedule = module.make_schedule(optimizer, steps)
        parts: dict[str, Any] = {"optimizer_states": optimizer, "lr_schedulers": schedule}
        for name, part in parts.items():
            saved, model = checkpoint.get(name), part.state_dict()
            check_alike(saved, [model], name)
            assert isinstance(saved, list | tuple)
            if "last_epoch" in model and "last_epoch" not in saved[0]:
                raise MisfitError(f"{name} has no last_epoch")
            if methods := sorted(str(key) for key in saved[0] if callable(getattr(type(part), str(key), None))):
                raise MisfitError(f"{name} has {methods[0]}")
            try:
                part.load_state_dict(saved[0])
            # A damaged state can raise a dozen types of exception.
            except Exception as error:
                raise MisfitError(f"{name}: {type(error).__name__}") from None
        raised = _step(optimizer, parameters) if runs else None
        if raised:
            raise MisfitError(f"optimizer_states: {type(raised).__name__}")


def _step(optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter]) -> Exception | None:
    """Makes a step without gradients. Returns what it raised."""
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    try:
        optimizer.step(lambda: torch.zeros(()))  # type: ignore[arg-type, return-value]
    except Exception as error:
        return error
    return None
