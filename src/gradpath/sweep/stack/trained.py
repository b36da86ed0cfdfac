"""Many equal networks trained as one, for anyone's list of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gradpath.data.memory import MemoryDataModule
from gradpath.flow.record import Record
from gradpath.model.network import MLP, layer_name
from gradpath.model.objective import build_objective
from gradpath.model.schedules import constant
from gradpath.sweep.stack.optimizing import MakeOptimizer, MakeSchedule, setting
from gradpath.sweep.stack.stepping import StackTraining


@dataclass(frozen=True)
class Trained:
    """What a run of a stack showed.

    losses: (steps,), of each step's batch; up to its divergence. record: what the probe has measured, None if nothing was.
    diverged: the first step at which the loss or a gradient was not finite, None if there is none.
    """

    losses: Tensor
    record: Record | None
    diverged: int | None


def train(
    networks: Sequence[MLP],
    data: MemoryDataModule,
    optimizers: MakeOptimizer | Sequence[MakeOptimizer],
    *,
    epochs: int,
    loss: nn.Module | None = None,
    schedules: MakeSchedule | Sequence[MakeSchedule] = constant,
    seeds: Sequence[int] | None = None,
    clip: float | None = None,
    every: int | None = None,
    slow_every: int = 1,
    activations: bool = False,
    device: str | torch.device = "cpu",
    after_step: Callable[[int, Tensor], None] | None = None,
) -> list[Trained]:
    """Trains equal networks as one stack: the arithmetic of many runs in the calls of one.

    Each network ends as it would have ended alone, with its own weights, order of samples, optimiser and schedule. One that
    diverges is left as it was before that step (on a GPU, where looking would make the host wait, as it is at the end), and
    the others go on.

    Args:
        networks: they may differ in their weights only. They are trained in place.
        data: for all of them.
        optimizers: parameters -> optimiser, for all or one for each; `partial(torch.optim.Adam, lr=0.01)`, say.
        epochs: passes over the training data.
        loss: None for the loss of the data's task.
        schedules: (optimiser, total steps) -> schedule, for all or one for each; stepped every step.
        seeds: of each network's order of samples; 0, 1, 2, ... by default.
        clip: the largest norm of each network's gradient, or None.
        every: measures each `every` steps and the last one; None measures nothing. slow_every: weights and activations at
            each so many measurements. activations: whether activations are measured too.
        after_step: called after each step with its number and the losses (networks,), in the order of `networks`.

    Raises:
        StackError: the networks differ in more than their weights, or have a part that cannot be stacked.
        ValueError: there are fewer or more optimisers, schedules or seeds than networks.
    """
    count = len(networks)
    makes, plans = _for_each("optimizers", optimizers, count), _for_each("schedules", schedules, count)
    orders = _for_each("seeds", range(count) if seeds is None else seeds, count)
    # Runs of one setting stand together, in the order in which the settings come.
    settings = [(setting(make), plan) for make, plan in zip(makes, plans, strict=True)]
    known = {key: place for place, key in enumerate(dict.fromkeys(settings))}
    sorted_ = sorted(range(count), key=lambda run: known[settings[run]])
    training = StackTraining(
        [networks[run] for run in sorted_],
        data,
        build_objective(data.task, data.outputs, loss, None, "none"),
        [makes[run] for run in sorted_],
        [plans[run] for run in sorted_],
        [known[settings[run]] for run in sorted_],
        [orders[run] for run in sorted_],
        epochs,
        clip,
        every,
        slow_every,
        activations,
        device,
    )
    places = torch.tensor([sorted_.index(run) for run in range(count)], device=training.device)
    seen: list[Tensor] = []
    for epoch in range(epochs):
        for losses, *_ in training.epoch(epoch):
            seen.append(losses.index_select(0, places))
            if after_step:
                after_step(training.step - 1, seen[-1])
    return _results(training, networks, torch.stack(seen, 1), places.tolist())


def _results(training: StackTraining, networks: Sequence[MLP], losses: Tensor, places: Sequence[int]) -> list[Trained]:
    """Gives the networks what they have learnt, and collects what each run showed."""
    steps, rows = training.measuring.take() if training.measuring else ([], None)
    found = []
    for run, (network, place) in enumerate(zip(networks, places, strict=True)):
        network.load_state_dict(training.state_of(place))
        bad = int(training.first_bad[place])
        record = None
        if training.measuring and rows is not None:
            layers = len(network.linears)
            record = Record([layer_name(index, layers) for index in range(layers)], training.measuring.quantities)
            for step, row in zip(steps, rows[place], strict=True):
                if bad < 0 or step <= bad:
                    record.add(step, row)
        end = None if bad < 0 else bad + 1
        found.append(Trained(losses[run, :end].cpu(), record, None if bad < 0 else bad))
    return found


def _for_each(name: str, given: Any, count: int) -> list[Any]:
    """One for all, or one for each."""
    found = [given] * count if callable(given) else [*given]
    if len(found) != count:
        raise ValueError(f"stack: {len(found)} {name} for {count} networks")
    return found
