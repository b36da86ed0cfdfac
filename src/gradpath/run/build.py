"""Builds the objects that a configuration describes: data, network, objective, module, trainer."""

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from inspect import signature
from math import ceil, nan
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from gradpath.config import targets
from gradpath.config.checks import check_sharing, is_ours
from gradpath.data.memory import MemoryDataModule
from gradpath.errors import ConfigError, first_line
from gradpath.flow.callback import FlowCallback, Start
from gradpath.model.module import GradpathModule, MakeOptimizer, MakeSchedule
from gradpath.model.network import MLP
from gradpath.model.objective import Objective, build_objective
from gradpath.run.checkpoint import EpochCheckpoints
from gradpath.run.divergence_guard import DivergenceGuard
from gradpath.run.interrupt import StopBetweenBatches
from gradpath.run.metrics import MetricsFile
from gradpath.run.tensorboard import RunLogger
from gradpath.run.terminal import EpochLines
from gradpath.run.trial import blamed, try_pass

Node = Mapping[str, Any]
OUTPUTS: dict[str, Callable[[], nn.Module]] = {
    "none": nn.Identity,
    "sigmoid": nn.Sigmoid,
    "softmax": partial(nn.Softmax, dim=1),
}


def build_data(node: Node, seed: int) -> MemoryDataModule:
    """Builds the data module. It does not use the key `epochs`; the trainer does."""
    build = targets.resolve("data", {key: value for key, value in node.items() if key != "epochs"})
    return targets.make("data", MemoryDataModule, partial(build, seed=seed))


def planned_steps(trainer: Node, data: MemoryDataModule) -> int:
    """The optimiser steps of the whole run.

    Raises:
        ConfigError: a fraction of the batches would be less than one batch. Lightning says so when it comes to them.
    """
    loaders = {"train": data.train_dataloader, "val": data.val_dataloader, "test": data.test_dataloader}
    used: dict[str, int] = {}
    for stage, loader in loaders.items():
        limit, batches = trainer[f"limit_{stage}_batches"], len(loader())
        used[stage] = int(limit * batches) if isinstance(limit, float) else min(limit, batches)
        if used[stage] < 1:
            raise ConfigError(
                f"trainer.limit_{stage}_batches={limit}: less than one of {batches} batches; write a count, such as 1."
            )
    per_epoch = ceil(used["train"] / int(trainer["accumulate_grad_batches"]))
    return per_epoch * int(trainer["max_epochs"])


def build_network(model: Node, activation: Node, norm: Node, data: MemoryDataModule) -> MLP:
    """Builds the network for this data. No `init` scheme has initialised it yet."""
    layer = targets.normalisation(norm["layer"]) if norm["layer"] else None
    make_activation = targets.activation(activation)
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
        raise ConfigError(f"model.hidden={hidden}: too large for this machine: {targets.what_failed(error)}.") from None


def initialize(network: MLP, config: Node, data: MemoryDataModule, choices: Mapping[str, str]) -> None:
    """Runs the `init` scheme. A scheme that looks at data gets up to 1024 training samples."""
    scheme = partial(targets.resolve("init", config["init"]), network, data.sample(1024).inputs)

    def tried() -> Any:
        # A scheme may call the activation, and a user's own may fail there.
        with blamed(config, choices, "activation", "init"):
            return scheme()

    targets.make("init", type(None), scheme if is_ours("activation", config["activation"]) else tried)


def build_loss(node: Node, data: MemoryDataModule, output: str, option: str = "") -> Objective:
    """Builds the objective for the data's task, with the configured loss or, if there is none, the task's own.

    Args:
        option: the name of the loss as it was chosen, for error messages.
    """
    plain = {key: value for key, value in node.items() if key != "tasks"}
    criterion = targets.make("loss", nn.Module, targets.resolve("loss", plain)) if node["_target_"] else None
    return build_objective(data.task, data.outputs, criterion, node.get("tasks"), output, option)


def build_optimizer(node: Node, precision: str, clips: bool = False) -> MakeOptimizer:
    """A function parameters -> optimiser. It is tried on one parameter here, so that a wrong key is found now.

    Args:
        clips: whether gradients are clipped.
    """
    # A fused optimiser divides by the gradient scaler's factor inside its step. The gradients that are measured before that
    # would still be scaled. For the same reason Lightning does not clip for it, in any mixed precision.
    if "fused" in node and (precision == "16-mixed" or (precision == "bf16-mixed" and clips)):
        node = {**node, "fused": False}
    build = targets.resolve("optimizer", node)
    targets.make("optimizer", Optimizer, build, [nn.Parameter(nn.Linear(1, 1).weight.detach())])
    return build


def learning_rate(node: Node) -> float:
    """The optimiser's learning rate: the option's `lr`, or else the optimiser's own default; NaN if it has none."""
    if "lr" in node:
        return float(node["lr"])
    parameter = signature(targets.resolve("optimizer", node)).parameters.get("lr")
    default = parameter.default if parameter else None
    return float(default) if isinstance(default, int | float) else nan


def divides_by_size(node: Node) -> bool:
    """Whether the optimiser divides gradients by their size. Every optimiser that does has an `eps`."""
    return "eps" in signature(targets.resolve("optimizer", node)).parameters


def build_schedule(node: Node, steps: int) -> MakeSchedule:
    """A function (optimiser, total steps) -> schedule. It is tried on one parameter here, as the optimiser is.

    A scheduler of torch is not told the number of steps, unless it asks for `total_steps` and its option does not say.

    Args:
        steps: the optimiser steps of the run. A scheduler that ends before them would raise an exception there.
    """
    build = targets.resolve("schedule", node)
    target = build.func  # type: ignore[attr-defined]
    if isinstance(target, type) and issubclass(target, LRScheduler):
        asks = "total_steps" in signature(target).parameters and "total_steps" not in node
        build = partial(_of_torch, build, asks)
    probe = targets.resolve("optimizer", {"_target_": "torch.optim.SGD", "lr": 1.0})
    made = targets.make("schedule", LRScheduler, build, probe([nn.Parameter(nn.Linear(1, 1).weight.detach())]), steps)
    ends = getattr(made, "total_steps", steps)
    if isinstance(ends, int) and ends < steps:
        raise ConfigError(f"schedule: it ends after {ends} steps, and the run has {steps}; leave total_steps out.")
    return build


def _of_torch(build: Callable[..., LRScheduler], asks: bool, optimizer: Optimizer, total_steps: int) -> LRScheduler:
    return build(optimizer, total_steps=total_steps) if asks else build(optimizer)


def build_run(config: Node, choices: Mapping[str, str]) -> tuple[MemoryDataModule, MLP, Objective, GradpathModule]:
    """Builds data, initialised network, objective and the module that trains them. Writes nothing; seed before the call.

    Raises:
        ConfigError: a mistake that the configuration alone does not show: the data are missing, say, or the loss does not
            fit them.
    """
    data = build_data(config["data"], config["seed"])
    steps = planned_steps(config["trainer"], data)
    objective = build_loss(config["loss"], data, config["model"]["output"], choices.get("loss", ""))
    network = build_network(config["model"], config["activation"], config["norm"], data)
    initialize(network, config, data, choices)
    trainer = config["trainer"]
    optimizer = build_optimizer(config["optimizer"], trainer["precision"], clips=trainer["gradient_clip_val"] is not None)
    schedule = build_schedule(config["schedule"], steps)
    module = GradpathModule(network, objective, optimizer, schedule)
    module.save_hyperparameters(_hyperparameters(config, choices))
    try_pass(config, choices, data, module)
    return data, network, objective, module


def redrawn(config: Node, data: MemoryDataModule, count: int) -> Iterator[MLP]:
    """Draws `count` networks that `config` describes, with the seeds after its own. Torch's generator is not changed."""
    for seed in range(config["seed"] + 1, config["seed"] + 1 + count):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = build_network(config["model"], config["activation"], config["norm"], data)
            initialize(network, config, data, {})
        yield network


def _hyperparameters(config: Node, choices: Mapping[str, str]) -> dict[str, str | int | float]:
    """The settings that tell runs apart, for the HParams tab and the checkpoint.

    They are plain words and numbers, so that the checkpoint can be loaded with `weights_only`.
    """
    scientific = {group: option for group, option in choices.items() if group not in ("probe", "trainer")}
    depth = len(config["model"]["hidden"])
    # The keys are those that a sweep would vary.
    return {**scientific, "seed": config["seed"], "optimizer.lr": learning_rate(config["optimizer"]), "model.depth": depth}


def build_trainer(
    config: Node,
    folder: Path,
    metric: str,
    resume_step: int | None = None,
    start: Start | None = None,
    varied: Mapping[str, str] | None = None,
) -> pl.Trainer:
    """Builds the trainer with its loggers and callbacks. Writes nothing.

    Args:
        metric: the metric beside the loss, "accuracy" or "mae".
        resume_step: the optimiser steps that a continued run has already made; None for a fresh run.
        start: what is known about the run before its first step, for the probe's record.
        varied: as for `RunLogger`.

    Raises:
        ConfigError: a device is missing, or a setting is impossible.
    """
    evaluated = [f"{stage}/{name}" for stage in ("val", "test") for name in ("loss", metric)]
    trained = [f"train/{name}{suffix}" for suffix in ("", "_epoch") for name in ("loss", metric)]
    # The HParams tab shows columns in this order; the first of them are in view.
    shown = [f"{stage}/{name}" for name in (metric, "loss") for stage in ("test", "val")]
    board = RunLogger(folder, shown, start.verdict if start else None, varied, resume_step)
    scalars = MetricsFile(folder, ["lr", *trained, *evaluated], resume_step)
    on_cpu = _on_cpu(config["trainer"])
    # The probe comes before the guard, which removes the gradients of a diverged step.
    log_every = config["trainer"]["log_every_n_steps"]
    measures = config["probe"]["every"]
    callbacks: list[pl.Callback] = [
        *([FlowCallback(folder, config["probe"], start or Start(), board, log_every)] if measures else []),
        DivergenceGuard(folder, log_every),
        EpochCheckpoints(folder, f"val/{'accuracy' if metric == 'accuracy' else 'loss'}", higher=metric == "accuracy"),
        EpochLines(),
        StopBetweenBatches(),
    ]
    trainer = new_trainer(
        **config["trainer"],
        default_root_dir=folder,
        logger=[board, scalars],
        callbacks=callbacks,
        # With this, two processes normalise as one does. Torch can do it on GPUs only.
        sync_batchnorm=torch.cuda.is_available() and config["trainer"]["accelerator"] != "cpu",
        num_sanity_val_steps=0,
        # The data module sets its own samplers, for one process or many.
        use_distributed_sampler=False,
    )
    _check_processes(config["trainer"], trainer, on_cpu)
    check_sharing(config["data"].get("batch_size", trainer.world_size), trainer.world_size)
    return trainer


def try_trainer(settings: Node) -> None:
    """Raises ConfigError if a device is missing on this machine, or a setting is impossible."""
    on_cpu = _on_cpu(settings)
    _check_processes(settings, new_trainer(**settings, logger=False, enable_checkpointing=False), on_cpu)


def _on_cpu(settings: Node) -> bool:
    """Whether a run is on the CPU. Raises ConfigError if it then asks for all GPUs."""
    kind = settings["accelerator"]
    on_cpu = kind == "cpu" or (kind == "auto" and not torch.cuda.is_available() and not torch.backends.mps.is_available())
    if on_cpu and str(settings["devices"]) == "-1":
        raise ConfigError(
            "trainer.devices=-1: all GPUs, but this run is on the CPU; write a number of processes, such as 1."
        )
    return on_cpu


def _check_processes(settings: Node, trainer: pl.Trainer, on_cpu: bool) -> None:
    if on_cpu and trainer.world_size > max(2, os.cpu_count() or 1):
        devices, most = settings["devices"], os.cpu_count()
        raise ConfigError(f"trainer.devices={devices}: more processes than this machine's {most} processors.")


def new_trainer(**settings: Any) -> pl.Trainer:
    """Makes a trainer without Lightning's own terminal output. Raises ConfigError for impossible settings."""
    try:
        return pl.Trainer(**settings, enable_progress_bar=False, enable_model_summary=False)
    except (MisconfigurationException, ValueError, TypeError, RuntimeError) as error:
        raise ConfigError(f"trainer: {first_line(error).rstrip('! ')}.") from None
