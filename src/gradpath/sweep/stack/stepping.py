"""Trains many equal networks as one, step by step, as each would train alone."""

from collections.abc import Hashable, Iterator, Sequence

import torch
from torch import Tensor

from gradpath.data.batch import Batch
from gradpath.data.memory import MemoryDataModule
from gradpath.model.network import MLP
from gradpath.model.objective import Objective
from gradpath.sweep.stack.batches import Batches
from gradpath.sweep.stack.measuring import Measuring
from gradpath.sweep.stack.objectives import losses_of, scores_of
from gradpath.sweep.stack.optimizing import MakeOptimizer, MakeSchedule, Optimizing
from gradpath.sweep.stack.stacked import Stack, Watch


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
        # The first step at which each run was not finite, -1 for none, and the weights from before it.
        self.first_bad = torch.full((len(networks),), -1, device=self.device)
        self.kept: dict[int, dict[str, Tensor]] = {}

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Trains an epoch. After each step come the losses (runs,), the outputs and the targets."""
        self.stack.train()
        for batch in self.batches.of_epoch(number):
            losses, outputs = self.make_step(batch)
            yield losses, outputs, batch.targets

    def make_step(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Makes one step of every run. Returns the losses (runs,) and the outputs (runs, batch, out)."""
        last = self.step == self.total - 1
        probe = self.measuring if self.measuring and (self.step % self.every == 0 or last) else None
        if probe:
            probe.begin(slow=self.measured % self.slow_every == 0)
            self.measured += 1
        losses, outputs = self.pass_through(batch, probe.watch if probe else None)
        if probe:
            probe.after_backward()
        self.look(losses, self.step)
        self.optimizing.step(probe.after_clipping if probe else None)
        if probe:
            probe.end(self.step)
        self.step += 1
        return losses, outputs

    def pass_through(self, batch: Batch, watch: Watch | None = None) -> tuple[Tensor, Tensor]:
        """Passes a batch forward and back. Returns the losses (runs,) and the outputs (runs, batch, out)."""
        outputs = self.stack(batch.inputs.to(self.dtype), watch)
        losses = self.losses(outputs, batch.targets)
        self.optimizing.zero_grad()
        losses.sum().backward()  # type: ignore[no-untyped-call]
        return losses.detach(), outputs.detach()

    def state_of(self, run: int) -> dict[str, Tensor]:
        """The state_dict of a run's network; of one that diverged, from before the step at which it did."""
        return self.kept.get(run) or self.stack.state_of(run)

    def look(self, losses: Tensor, step: int | Tensor) -> None:
        """Notes runs that are not finite any more. They cost nothing but their share: no run's numbers reach another's.

        On the CPU their weights are kept as they were before the step; elsewhere looking would make the host wait.
        """
        bias = self.stack.linears[0].bias.grad
        # The gradient that is computed last is not finite once any is not.
        value = losses if bias is None else losses + bias.flatten(1).sum(1)
        fine = torch.isfinite(value) | (self.first_bad >= 0)
        if self.device.type == "cpu" and not bool(fine.all()):
            for run in (~fine).nonzero().flatten().tolist():
                self.kept[run] = {name: tensor.clone() for name, tensor in self.stack.state_of(run).items()}
        # In place, so that a captured step notes it too.
        self.first_bad.copy_(torch.where(fine, self.first_bad, step))
