"""The optimisers of a stack: one for all runs of the same setting, each with its schedule."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn, optim
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from gradpath.sweep.stack.stacked import Layout, Stack

MakeOptimizer = Callable[[Iterable[nn.Parameter]], Optimizer]
MakeSchedule = Callable[[Optimizer, int], LRScheduler]

# Optimisers that treat each entry of a parameter by itself: they do the same to a stack as to its runs.
ELEMENTWISE = (
    optim.Adadelta, optim.Adagrad, optim.Adam, optim.AdamW, optim.Adamax, optim.NAdam, optim.RAdam, optim.RMSprop,
    optim.Rprop, optim.SGD,
)  # fmt: skip


def setting(make: MakeOptimizer) -> Hashable:
    """What tells optimisers apart: their class and their settings."""
    tried = _tried(make)
    groups = [{key: value for key, value in group.items() if key != "params"} for group in tried.param_groups]
    return type(tried), repr(groups)


@dataclass
class Part:
    """An optimiser over some runs of a stack, from `first` up to `end`, with its schedule.

    views: of each parameter of the stack, in its order, the part that the optimiser has. layouts: the shape in which one
    run's network has each of them, for an optimiser that must see it as such; None: all of its runs at once.
    """

    first: int
    end: int
    optimizer: Optimizer
    schedule: LRScheduler
    views: list[nn.Parameter]
    layouts: list[Layout | None]


class Optimizing:
    """Optimises a stack whose runs are sorted by setting.

    Args:
        makes, schedules: of each run, as for an ordinary network.
        steps: the optimiser steps of the whole training.
        settings: equal for runs whose optimisers and schedules are equal.
        clip: the largest norm of a run's gradient, or None.
    """

    def __init__(
        self,
        stack: Stack,
        makes: Sequence[MakeOptimizer],
        schedules: Sequence[MakeSchedule],
        steps: int,
        settings: Sequence[Hashable],
        clip: float | None = None,
    ) -> None:
        self.stack, self.clip = stack, clip
        self.parameters = [*stack.parameters()]
        self.parts: list[Part] = []
        for first, end in blocks_of(settings):
            one = _tried(makes[first])
            # One that parts matrices from vectors (weight decay for the first alone) must see each run's as they are.
            together = type(one) in ELEMENTWISE and len(one.param_groups) == 1
            for begin, stop in [(first, end)] if together else [(run, run + 1) for run in range(first, end)]:
                layouts: list[Layout | None] = [None] * len(self.parameters) if together else [*stack.layouts]
                pairs = zip(self.parameters, layouts, strict=True)
                views = [nn.Parameter(_part(parameter.detach(), begin, stop, layout)) for parameter, layout in pairs]
                optimizer = makes[begin](views)
                self.parts.append(Part(begin, stop, optimizer, schedules[begin](optimizer, steps), views, layouts))

    @torch.no_grad()
    def step(self, after_clipping: Callable[[], None] | None = None, schedules: bool = True) -> None:
        """Clips each run's gradient, and lets every optimiser and, unless told not to, its schedule make a step."""
        if self.clip is not None:
            self._clip(self.clip)
            if after_clipping:
                after_clipping()
        for part in self.parts:
            for view, layout, parameter in zip(part.views, part.layouts, self.parameters, strict=True):
                if parameter.grad is not None:
                    grad = _part(parameter.grad, part.first, part.end, layout)
                    # In the order in memory that it has in a run of its own.
                    view.grad = grad.contiguous() if layout else grad
            part.optimizer.step()
            if schedules:
                part.schedule.step()

    def zero_grad(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    def norms(self) -> Tensor:
        """The norm of every run's gradient, (runs,)."""
        grads = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        each = [torch.linalg.vector_norm(grad, dim=[*range(1, grad.ndim)]) for grad in grads]
        norms: Tensor = torch.linalg.vector_norm(torch.stack(each), dim=0)
        return norms

    def _clip(self, most: float) -> None:
        # As `clip_grad_norm_`, for each run by itself: one run that is not finite leaves the others as they are.
        factor = (most / (self.norms() + 1e-6)).clamp(max=1.0)
        for parameter in self.parameters:
            if parameter.grad is not None:
                parameter.grad.mul_(factor.view(-1, *(1 for _ in parameter.shape[1:])))


def _tried(make: MakeOptimizer) -> Optimizer:
    """An optimiser of two layers, to be looked at."""
    return make([nn.Parameter(torch.zeros(shape)) for shape in ((2, 2), (2,)) * 2])


def _part(values: Tensor, first: int, end: int, layout: Layout | None) -> Tensor:
    return layout(values[first]) if layout else values[first:end]


def blocks_of(settings: Sequence[Hashable]) -> list[tuple[int, int]]:
    """The first run and the end of each block of equal settings. Raises ValueError unless equal ones stand together."""
    starts = [run for run, key in enumerate(settings) if run == 0 or key != settings[run - 1]]
    if len({settings[start] for start in starts}) < len(starts):
        raise ValueError("stack: runs of one setting must stand together")
    return list(zip(starts, [*starts[1:], len(settings)], strict=True))
