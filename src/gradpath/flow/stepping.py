"""The optimisers of a model: which one is in the middle of its step, what it moves, and when their round is complete."""

import sys
from collections.abc import Callable
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils.hooks import RemovableHandle

from gradpath.flow.guarded import Guard
from gradpath.flow.rounds import Rounds


class Optimizers:
    """Tells of each step of an optimiser of `model`, between `attach` and `detach`, whoever calls it.

    One made of others (Muon) steps them inside its own step; those do not count.

    Args:
        on_before: called with the ids of the model's parameters that are about to be moved, and with whether the optimiser
            begins another round. on_after: called with the optimiser, the ids, and whether the round is complete.
        on_skip: called instead where a gradient scaler let the optimiser leave the weights alone.
        on_met: called with the ids that any optimiser of the process is about to move, if only none.
    """

    def __init__(
        self,
        model: nn.Module,
        guard: Guard,
        on_before: Callable[[set[int], bool], None],
        on_after: Callable[[Optimizer, set[int], bool], None],
        on_skip: Callable[[], None],
        on_met: Callable[[set[int]], None],
    ) -> None:
        self.model, self.guard = model, guard
        self.on_before, self.on_after, self.on_skip, self.on_met = on_before, on_after, on_skip, on_met
        self.rounds = Rounds(model)
        self.stepping: Optimizer | None = None
        self.handles: list[RemovableHandle] = []
        self.meet()

    def meet(self) -> None:
        """Takes up the parameters of the model as they are now."""
        self.owned = {id(parameter) for parameter in self.model.parameters()}

    def attach(self) -> None:
        self.handles = [
            register_optimizer_step_pre_hook(self.guard(self._before)),
            register_optimizer_step_post_hook(self.guard(self._after)),
        ]

    def detach(self) -> None:
        for handle in self.handles:
            handle.remove()
        self.handles = []

    def _before(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        moving = self._moved_by(optimizer)
        self.on_met(moving)
        if not moving or (self.stepping not in (None, optimizer) and _is_running(self.stepping)):
            return
        self.stepping = optimizer
        self.on_before(moving, self.rounds.again(optimizer))

    def _after(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if self.stepping is not optimizer:
            return
        self.stepping = None
        overflow = getattr(optimizer, "found_inf", None)
        if overflow is not None and bool(overflow):
            # Under a gradient scaler a fused optimiser is called after an overflow too, but leaves the weights alone.
            self.on_skip()
            return
        moving = self._moved_by(optimizer)
        self.on_after(optimizer, moving, self.rounds.add(optimizer, moving))

    def _moved_by(self, optimizer: Optimizer) -> set[int]:
        return {id(p) for group in optimizer.param_groups for p in group["params"] if id(p) in self.owned}


def _is_running(optimizer: Any) -> bool:
    """Whether a call of one of the optimiser's methods is on this thread's stack. One that has raised is not."""
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_locals.get("self") is optimizer:
            return True
    return False
