"""A run of a stack beside its twin, which is trained alone in a plain loop: the same numbers, whatever trains it."""

import copy
from collections.abc import Sequence
from functools import cache
from itertools import cycle
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from conftest import ACTIVATIONS, NORMS
from gradpath.config.composition import compose
from gradpath.data.memory import MemoryDataModule
from gradpath.model.network import MLP
from gradpath.model.objective import Objective
from gradpath.run.build import build_data, build_loss, build_network, build_optimizer, build_schedule, initialize
from gradpath.sweep.stack.stepping import StackTraining
from gradpath.verdict.probing import Probe

OPTIMIZERS = ("adagrad", "adam", "adamw", "momentum", "muon", "nadam", "nesterov", "radam", "rmsprop", "sgd")
SCHEDULES = ("constant", "cosine", "one_cycle", "step", "warmup_cosine")
SMALL = ("data=gaussian", "data.samples=200", "data.batch_size=13", "data.epochs=5", "model.hidden=[12,9,7]")


composed = cache(compose)


def parts(*overrides: str, seed: int, double: bool) -> tuple[MemoryDataModule, MLP, Objective, Any, Any]:
    config, choices = composed(*SMALL, *overrides)
    torch.manual_seed(seed)
    data = build_data(config["data"], seed)
    objective = build_loss(config["loss"], data, config["model"]["output"])
    network = build_network(config["model"], config["activation"], config["norm"], data)
    initialize(network, config, data, choices)
    make = build_optimizer(config["optimizer"], "32-true")
    schedule = build_schedule(config["schedule"], 1000)
    return data, network.double() if double else network, objective, make, schedule


def alone(
    data: MemoryDataModule,
    network: MLP,
    objective: Objective,
    make: Any,
    schedule: Any,
    steps: int,
    clip: float | None = None,
) -> tuple[list[float], Probe]:
    """Trains one network as Lightning would; returns the losses, and what the probe has measured."""
    optimizer = make(network.parameters())
    loader = data.train_dataloader()
    rates = schedule(optimizer, len(loader) * 5)
    losses: list[float] = []
    epoch = 0
    probe = Probe(network, 3, slow_every=2, clipping=clip is not None)
    probe.open()
    while len(losses) < steps:
        loader.sampler.set_epoch(epoch)
        epoch += 1
        for raw in loader:
            batch = data.on_after_batch_transfer(raw, 0)
            loss = objective.loss(network(batch.inputs.to(next(network.parameters()).dtype)), batch.targets)
            optimizer.zero_grad()
            loss.backward()
            if clip is not None:
                torch.nn.utils.clip_grad_norm_(network.parameters(), clip)
            optimizer.step()
            rates.step()
            losses.append(loss.item())
            if len(losses) == steps:
                break
    probe.close()
    return losses, probe


def check(lines: Sequence[Sequence[str]], tolerance: float = 1e-9, double: bool = True, clip: float | None = None) -> None:
    """Trains the runs of these command lines, which must be sorted by setting, as one and each alone."""
    runs = [parts(*line, seed=seed, double=double) for seed, line in enumerate(lines)]
    twins = copy.deepcopy([network for _, network, *_ in runs])
    data, _, objective, _, _ = runs[0]
    training = StackTraining(
        [network for _, network, *_ in runs], data, objective, [make for *_, make, _ in runs], [s for *_, s in runs],
        [tuple(line) for line in lines], [*range(len(runs))], epochs=5, clip=clip, every=3, slow_every=2, activations=True,
    )  # fmt: skip
    seen: list[Tensor] = []
    for epoch in range(5):
        seen += [losses for losses, *_ in training.epoch(epoch)]
    losses, steps = torch.stack(seen, 1).double(), len(seen)
    assert steps == training.total >= 50
    measured, rows = training.measuring.take()
    for run, ((given, _, _, make, schedule), twin) in enumerate(zip(runs, twins, strict=True)):
        expected, probe = alone(given, twin, objective, make, schedule, steps, clip)
        np.testing.assert_allclose(losses[run], expected, rtol=tolerance, atol=tolerance)
        state = training.stack.state_of(run)
        assert state.keys() == twin.state_dict().keys()
        for name, value in twin.state_dict().items():
            torch.testing.assert_close(state[name], value, rtol=tolerance, atol=tolerance)
        kept = [index for index, step in enumerate(measured) if step in probe.record.steps]
        assert [measured[index] for index in kept] == probe.record.steps
        for index, quantity in enumerate(probe.record.quantities):
            np.testing.assert_allclose(
                rows[run, kept, index], probe.record.matrix(quantity), rtol=max(tolerance, 1e-7) * 100, atol=1e-9,
                err_msg=f"{quantity} of run {run}",
            )  # fmt: skip


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer(optimizer: str) -> None:
    rates = ("0.01", "0.002")
    lines = [(f"optimizer={optimizer}", f"optimizer.lr={rate}") for rate in rates for _ in range(2)]
    check(lines)


@pytest.mark.parametrize(("activation", "norm"), [*zip(ACTIVATIONS, cycle(NORMS))])
def test_every_activation_and_every_norm(activation: str, norm: str) -> None:
    check([(f"activation={activation}", f"norm={norm}")] * 3)


@pytest.mark.slow
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_with_every_norm(activation: str, norm: str) -> None:
    check([(f"activation={activation}", f"norm={norm}")] * 3)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule(schedule: str) -> None:
    check([(f"schedule={schedule}", "optimizer=momentum")] * 2 + [("optimizer=momentum",)])


def test_each_run_is_clipped_by_itself() -> None:
    check([("optimizer.lr=0.01",)] * 3, clip=0.05)


def test_in_single_precision() -> None:
    check([("optimizer=sgd", "optimizer.lr=0.05")] * 4, 1e-5, double=False)
