"""Trains many equal networks as one, as each would train alone."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gradpath.data.batch import Batch
from gradpath.data.memory import MemoryDataModule
from gradpath.model.network import MLP
from gradpath.model.objective import Objective
from gradpath.sweep.stack.batches import Batches
from gradpath.sweep.stack.losses import losses_of, scores_of
from gradpath.sweep.stack.measuring import Measuring
from gradpath.sweep.stack.network import Stack
from gradpath.sweep.stack.optimizing import MakeOptimizer, MakeSchedule, Optimizing


@dataclass
class Window:
    """Losses and outputs since they were last logged, and their sums over the epoch."""

    losses: list[Tensor] = field(default_factory=list)
    outputs: list[Tensor] = field(default_factory=list)
    targets: list[Tensor] = field(default_factory=list)


class StackTraining:
    """Trains a stack, step by step.

    Args:
        networks: equal but for their weights, sorted so that those of one setting stand together.
        data: for all; each run has its own order.
        objective: for all.
        makes, schedules, settings: as for `Optimizing`.
        seeds: of each run's order of samples.
        epochs: passes over the training data.
        clip: the largest norm of a run's gradient, or None.
        every: a step is measured each `every` steps, and the last one; None: none is. slow_every: weights and activations
            at each so many measurements. activations: whether they are.
    """

    def __init__(
        self,
        networks: Sequence[MLP],
        data: MemoryDataModule,
        objective: Objective,
        makes: Sequence[MakeOptimizer],
        schedules: Sequence[MakeSchedule],
        settings: Sequence[Hashable],
        seeds: Sequence[int],
        epochs: int,
        clip: float | None = None,
        every: int | None = None,
        slow_every: int = 1,
        activations: bool = False,
        device: str | torch.device = "cpu",
    ) -> None:
        self.device = torch.device(device)
        self.stack = Stack(networks).to(self.device)
        self.batches = Batches(data, seeds, self.device)
        self.losses, self.scores = losses_of(objective), scores_of(objective)
        self.total = self.batches.count * epochs
        self.optimizing = Optimizing(self.stack, makes, schedules, self.total, settings, clip)
        self.measuring = Measuring(self.stack, activations, clip is not None) if every else None
        self.every, self.slow_every, self.measured = every or 0, slow_every, 0
        self.step, self.dtype = 0, next(self.stack.parameters()).dtype

    def epoch(self, number: int, after_step: Callable[[Tensor, Tensor, Tensor], None]) -> None:
        """Trains an epoch. `after_step` is called with the losses (runs,), the outputs and the targets of each step."""
        self.stack.train()
        for batch in self.batches.of_epoch(number):
            losses, outputs = self._step(batch)
            after_step(losses, outputs, batch.targets)

    def _step(self, batch: Batch) -> tuple[Tensor, Tensor]:
        last = self.step == self.total - 1
        probe = self.measuring if self.measuring and (self.step % self.every == 0 or last) else None
        if probe:
            probe.begin(slow=self.measured % self.slow_every == 0)
            self.measured += 1
        outputs = self.stack(batch.inputs.to(self.dtype), probe.watch if probe else None)
        losses = self.losses(outputs, batch.targets)
        self.optimizing.zero_grad()
        losses.sum().backward()
        if probe:
            probe.after_backward()
        self.optimizing.step(probe.after_clipping if probe else None)
        if probe:
            probe.end(self.step)
        self.step += 1
        return losses.detach(), outputs.detach()
