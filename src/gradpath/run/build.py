"""From the configuration to real objects: data, network, objective, module, trainer."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from gradpath.config import targets
from gradpath.config.checks import check_sharing
from gradpath.data.memory import MemoryDataModule
from gradpath.errors import ConfigError
from gradpath.flow.callback import FlowCallback, Start
from gradpath.model.module import GradpathModule, MakeOptimizer, MakeSchedule
from gradpath.model.network import MLP
from gradpath.model.objective import Objective, build_objective
from gradpath.run.checkpoint import BEST, LAST
from gradpath.run.guard import DivergenceGuard
from gradpath.run.interrupt import StopBetweenBatches
from gradpath.run.metrics import MetricsFile
from gradpath.run.tensorboard import RunLogger
from gradpath.run.terminal import EpochLines

Node = Mapping[str, Any]
OUTPUTS: dict[str, Callable[[], nn.Module]] = {
    "none": nn.Identity,
    "sigmoid": nn.Sigmoid,
    "softmax": partial(nn.Softmax, dim=1),
}


def build_data(node: Node, seed: int, allowed: list[str]) -> MemoryDataModule:
    """The data module; `epochs` is the trainer's business."""
    build = targets.resolve("data", {key: value for key, value in node.items() if key != "epochs"}, allowed)
    return targets.make("data", MemoryDataModule, partial(build, seed=seed))


def build_network(model: Node, activation: Node, norm: Node, data: MemoryDataModule, allowed: list[str]) -> MLP:
    """The untrained network for this data, not yet initialised by an `init` scheme."""
    layer = targets.resolve("norm.layer", norm["layer"], allowed) if norm["layer"] else None
    make_activation = targets.activation(activation, allowed)
    try:
        return MLP(
            data.in_features,
            model["hidden"],
            data.outputs,
            make_activation,
            layer,
            norm["placement"],
            OUTPUTS[model["output"]](),
        )
    except (RuntimeError, MemoryError) as error:
        hidden = str(model["hidden"]).replace(" ", "")
        raise ConfigError(
            f"model.hidden={hidden}: too large for this machine ({str(error).splitlines()[0][:80]})."
        ) from None


def initialize(network: MLP, node: Node, data: MemoryDataModule, allowed: list[str]) -> None:
    """Runs the `init` scheme, with up to 1024 training samples for those that look at data."""
    targets.make("init", type(None), partial(targets.resolve("init", node, allowed), network, data.sample(1024).inputs))


def build_loss(node: Node, data: MemoryDataModule, output: str, allowed: list[str]) -> Objective:
    """The objective for the data's task; the loss of the configuration, or the task's own."""
    plain = {key: value for key, value in node.items() if key != "tasks"}
    criterion = targets.make("loss", nn.Module, targets.resolve("loss", plain, allowed)) if node["_target_"] else None
    return build_objective(data.task, data.outputs, criterion, node["tasks"], output)


def build_optimizer(node: Node, precision: str, allowed: list[str]) -> MakeOptimizer:
    """parameters -> optimiser, tried out on one parameter so that a wrong key is found now."""
    if precision == "16-mixed" and "fused" in node:
        # A fused optimiser takes the gradient scaler's factor into its own step: gradients would be measured scaled.
        node = {**node, "fused": False}
    build = targets.resolve("optimizer", node, allowed)
    targets.make("optimizer", Optimizer, build, [nn.Parameter(nn.Linear(1, 1).weight.detach())])
    return build


def divides_by_size(node: Node, allowed: list[str]) -> bool:
    """Whether the optimiser divides gradients by their size: what does needs an eps."""
    return "eps" in signature(targets.resolve("optimizer", node, allowed)).parameters


def build_schedule(node: Node, allowed: list[str]) -> MakeSchedule:
    """(optimiser, total steps) -> schedule, tried out likewise."""
    build = targets.resolve("schedule", node, allowed)
    probe = targets.resolve("optimizer", {"_target_": "torch.optim.SGD", "lr": 1.0}, ["torch."])
    targets.make("schedule", LRScheduler, build, probe([nn.Parameter(nn.Linear(1, 1).weight.detach())]), 10)
    return build


def build_run(config: Node, choices: Mapping[str, str]) -> tuple[MemoryDataModule, MLP, Objective, GradpathModule]:
    """Data, initialised network, objective and the module that trains them. Seed before calling; writes nothing.

    Raises:
        ConfigError: what the configuration alone could not tell: data that are not there, a loss that does not fit them.
    """
    allowed = config["allowed_targets"]
    data = build_data(config["data"], config["seed"], allowed)
    objective = build_loss(config["loss"], data, config["model"]["output"], allowed)
    network = build_network(config["model"], config["activation"], config["norm"], data, allowed)
    initialize(network, config["init"], data, allowed)
    optimizer = build_optimizer(config["optimizer"], config["trainer"]["precision"], allowed)
    schedule = build_schedule(config["schedule"], allowed)
    module = GradpathModule(network, objective, optimizer, schedule)
    module.save_hyperparameters(_hyperparameters(config, choices))
    return data, network, objective, module


def redrawn(config: Node, data: MemoryDataModule, count: int) -> Iterator[MLP]:
    """`count` networks that `config` describes, with the seeds that follow its own; torch's generator is left alone."""
    allowed = config["allowed_targets"]
    for seed in range(config["seed"] + 1, config["seed"] + 1 + count):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = build_network(config["model"], config["activation"], config["norm"], data, allowed)
            initialize(network, config["init"], data, allowed)
        yield network


def _hyperparameters(config: Node, choices: Mapping[str, str]) -> dict[str, str | int | float]:
    """What tells runs apart, for the HParams tab and the checkpoint: plain words and numbers, which load as weights only."""
    scientific = {group: option for group, option in choices.items() if group not in ("probe", "trainer")}
    depth = len(config["model"]["hidden"])
    return {**scientific, "seed": config["seed"], "lr": config["optimizer"]["lr"], "depth": depth}


def build_trainer(
    config: Node, folder: Path, metric: str, resume_step: int | None = None, start: Start | None = None
) -> pl.Trainer:
    """The trainer with its loggers and callbacks; writes nothing.

    Args:
        metric: what is judged beside the loss, "accuracy" or "mae".
        resume_step: the optimiser steps that a continued run has behind it; None for a fresh one.
        start: what is known of the run before its first step, for the probe's record.

    Raises:
        ConfigError: a device that is not there, or an impossible setting.
    """
    evaluated = [f"{stage}/{name}" for stage in ("val", "test") for name in ("loss", metric)]
    trained = [f"train/{name}{suffix}" for suffix in ("", "_epoch") for name in ("loss", metric)]
    board = RunLogger(folder, evaluated, resume_step)
    scalars = MetricsFile(folder, ["lr", *trained, *evaluated], resume_step)
    # The probe before the guard, which takes the gradients of a diverged step away.
    log_every = config["trainer"]["log_every_n_steps"]
    measures = config["probe"]["every"]
    callbacks: list[pl.Callback] = [
        *([FlowCallback(folder, config["probe"], start or Start(), board, log_every)] if measures else []),
        DivergenceGuard(folder, log_every),
        *_checkpoints(folder, metric),
        EpochLines(),
        StopBetweenBatches(),
    ]
    trainer = new_trainer(
        **config["trainer"],
        default_root_dir=folder,
        logger=[board, scalars],
        callbacks=callbacks,
        # Two processes then normalise as one does; torch has it for GPUs only.
        sync_batchnorm=torch.cuda.is_available() and config["trainer"]["accelerator"] != "cpu",
        num_sanity_val_steps=0,
        # The data module places its own samplers, in one process or many.
        use_distributed_sampler=False,
    )
    check_sharing(config["data"].get("batch_size", trainer.world_size), trainer.world_size)
    return trainer


def new_trainer(**settings: Any) -> pl.Trainer:
    """A trainer without Lightning's own terminal output; raises ConfigError for what cannot be."""
    try:
        return pl.Trainer(**settings, enable_progress_bar=False, enable_model_summary=False)
    except (MisconfigurationException, ValueError, TypeError, RuntimeError) as error:
        raise ConfigError(f"trainer: {str(error).splitlines()[0].rstrip('.! ')}.") from None


def _checkpoints(folder: Path, metric: str) -> list[pl.Callback]:
    """The best epoch by validation, and every epoch's end under one name.

    Two callbacks: with `save_last` Lightning writes the last one only when it is also the best.
    """
    higher = metric == "accuracy"
    best = ModelCheckpoint(
        monitor="val/accuracy" if higher else "val/loss", mode="max" if higher else "min", **_place(folder / BEST)
    )
    return [best, ModelCheckpoint(**_place(folder / LAST))]


def _place(path: Path) -> dict[str, Any]:
    return {
        "dirpath": path.parent,
        "filename": path.stem,
        "save_on_train_epoch_end": True,
        "enable_version_counter": False,
    }
