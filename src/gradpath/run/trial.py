"""Tries what a user brought, on a copy of the network and before anything is written.

A run of our own options pays nothing for it. Neither the network nor any generator of random numbers is changed.
"""

import io
import random
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from gradpath.config.checks import is_ours
from gradpath.config.targets import what_failed
from gradpath.data.batch import Batch
from gradpath.data.memory import MemoryDataModule
from gradpath.errors import ConfigError
from gradpath.model.module import GradpathModule
from gradpath.model.network import MLP
from gradpath.model.objective import Objective

# The groups whose code sees the data first, in this order.
FORWARD = ("data", "activation", "init", "norm")
# Samples of a trial, and steps of a schedule, at most.
SAMPLES, STEPS = 1024, 10_000

Node = Mapping[str, Any]


@contextmanager
def blamed(config: Node, choices: Mapping[str, str], *groups: str) -> Iterator[None]:
    """Turns whatever its block raises into a ConfigError that names the options at fault.

    Args:
        groups: whose code runs in the block. A user's own are named; if all are ours, they do not go together.
    """
    try:
        yield
    except (ConfigError, KeyboardInterrupt):
        raise
    except BaseException as error:
        own = [group for group in groups if not is_ours(group, config[group])]
        together = "" if own or len(groups) == 1 else "do not go together: "
        named = " ".join(_named(group, config[group], choices) for group in own or groups)
        raise ConfigError(f"{named}: {together}{what_failed(error)}.") from error


def _named(group: str, node: Node, choices: Mapping[str, str]) -> str:
    inner = node.get("layer") if group == "norm" else node
    target = inner.get("_target_") if isinstance(inner, Mapping) else None
    own = "" if target is None or is_ours(group, node) else f" ({target})"
    return f"{group}={choices[group]}{own}" if group in choices else f"{group}._target_={target}"


def try_pass(config: Node, choices: Mapping[str, str], data: MemoryDataModule, module: GradpathModule) -> None:
    """Takes one batch through network and loss, and back, if a part of them is a user's own.

    Raises:
        ConfigError: names the options at fault.
    """
    if all(is_ours(group, config[group]) for group in (*FORWARD, "loss")):
        return
    with _undisturbed():
        network, objective, batch = _copied(config, choices, data, module, torch.device("cpu"))
        _pass(config, choices, network, objective, batch)


def try_step(config: Node, choices: Mapping[str, str], data: MemoryDataModule, module: GradpathModule, steps: int) -> None:
    """Makes one step of the optimiser, and all steps of the schedule, if one of the two is a user's own.

    Raises:
        ConfigError: names the option at fault.
    """
    if is_ours("optimizer", config["optimizer"]) and is_ours("schedule", config["schedule"]):
        return
    on_gpu = torch.cuda.is_available() and config["trainer"]["accelerator"] in ("auto", "gpu", "cuda")
    with _undisturbed():
        network, objective, batch = _copied(config, choices, data, module, torch.device("cuda" if on_gpu else "cpu"))
        _pass(config, choices, network, objective, batch)
        with blamed(config, choices, "optimizer"):
            optimizer = module.make_optimizer(network.parameters())

            def closure() -> Tensor:
                optimizer.zero_grad()
                loss = objective.loss(network(batch.inputs), batch.targets)
                loss.backward()  # type: ignore[no-untyped-call]
                return loss

            # torch's own types say that a closure gives a float; its optimisers take a tensor.
            optimizer.step(closure)  # type: ignore[arg-type]
            _save(optimizer.state_dict())
        with blamed(config, choices, "schedule"):
            schedule = module.make_schedule(optimizer, steps)
            many = config["trainer"]["max_epochs"] if isinstance(schedule, ReduceLROnPlateau) else steps
            _run_through(schedule, min(many, STEPS))
            _save(schedule.state_dict())


def _copied(
    config: Node, choices: Mapping[str, str], data: MemoryDataModule, module: GradpathModule, device: torch.device
) -> tuple[MLP, Objective, Batch]:
    """Copies of network and objective, and a batch of the size that training uses."""
    with blamed(config, choices, *FORWARD, "loss"):
        network, objective = deepcopy((module.network, module.objective))
        dtype = torch.float64 if config["trainer"]["precision"] == "64-true" else torch.float32
        network = network.to(device, dtype).train()
        objective.criterion.to(device, dtype)
        batch = data.sample(min(data.batch_size, SAMPLES))
        return network, objective, Batch(batch.inputs.to(device, dtype), batch.targets.to(device))


def _pass(config: Node, choices: Mapping[str, str], network: MLP, objective: Objective, batch: Batch) -> None:
    with blamed(config, choices, *FORWARD):
        outputs = network(batch.inputs)
    with blamed(config, choices, "loss"):
        loss = objective.loss(outputs, batch.targets)
        name = _named("loss", config["loss"], choices)
        if not isinstance(loss, Tensor) or loss.shape != () or not loss.is_floating_point():
            shape = list(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
            raise ConfigError(f"{name}: gives {shape} for a batch of {len(outputs)}; a loss must be one real number.")
        if not loss.requires_grad:
            raise ConfigError(f"{name}: does not depend on the weights, so that nothing can be learnt.")
    with blamed(config, choices, *FORWARD, "loss"):
        torch.autograd.grad(loss, [parameter for linear in network.linears for parameter in linear.parameters()])


def _run_through(schedule: LRScheduler, steps: int) -> None:
    """Takes a schedule to its last step: some fail in the middle."""
    for _ in range(steps):
        if isinstance(schedule, ReduceLROnPlateau):
            schedule.step(1.0)
        else:
            schedule.step()
        rates = [group["lr"] for group in schedule.optimizer.param_groups]
        if not all(isinstance(rate, int | float | Tensor) for rate in rates):
            raise ValueError(f"the learning rate becomes {rates[0]!r}, which is no number")


def _save(state: dict[str, Any]) -> None:
    """Writes a state and reads it back, as a checkpoint does."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    torch.load(file, weights_only=True)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Restores the generators of random numbers after a block, and silences its warnings: the run gives them again."""
    python, numpy = random.getstate(), np.random.get_state()
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    try:
        with torch.random.fork_rng(devices), torch.enable_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
