"""What a training loop showed beside its layers: its losses, and whether its data and its network's outputs were finite."""

from collections.abc import Collection
from dataclasses import dataclass, field
from math import inf, isfinite, nan

import numpy as np
import numpy.typing as npt
from torch import Tensor
from torch.optim import Optimizer

from gradpath.flow.leftovers import Leftovers
from gradpath.flow.norms import Scalar, gather, plus
from gradpath.flow.places import Seen

# At most this many steps wait to be read; on a device each number is a small tensor.
MOST = 64


@dataclass(frozen=True)
class Glimpse:
    """What one step showed. NaN means that it was not seen, inf that it was not finite.

    loss: the sum of the losses of its passes. inputs: root mean square of what came into the first layers. outputs: sum of
    the squares of what the last layer returned.
    """

    step: int
    loss: float
    inputs: float
    outputs: float


@dataclass
class Loop:
    """The glimpses of all measured steps.

    entrance: the first of the layers that take data. rates: the learning rates of the latest optimiser, by group;
    eps: its epsilon, if it is one like Adam; several: more than one optimiser has stepped. told: the coming step's loss, if
    the loop says it. held: the ids of the parameters that an optimiser moves. strangers: calls of optimisers that move none
    of the model's. ended: steps, whether measured or not. leftovers: gradients that were used again. samples: how many a
    step had. doubled: an activation that the loss applies a second time.
    """

    entrance: str | None = None
    rates: list[Scalar] = field(default_factory=list)
    eps: float | None = None
    several: bool = False
    held: set[int] = field(default_factory=set)
    strangers: int = 0
    ended: int = 0
    leftovers: Leftovers = field(default_factory=Leftovers)
    doubled: str | None = None
    told: Scalar | None = None
    steps: list[int] = field(default_factory=list)
    samples: dict[int, int] = field(default_factory=dict)
    waiting: list[tuple[Scalar, Scalar, float, Scalar]] = field(default_factory=list)
    rows: list[npt.NDArray[np.float64]] = field(default_factory=list)

    def add(self, step: int, passes: Collection[Seen], scale: float = 1.0) -> None:
        """The passes were those of a step. `scale` undoes what a gradient scaler multiplied their losses by."""
        loss: Scalar = nan
        inputs: Scalar = nan
        outputs: Scalar = nan
        entries = 0
        # A pass whose gradients were thrown away belongs to no step.
        for seen in (seen for seen in passes if seen.places):
            self.samples[step] = self.samples.get(step, 0) + seen.samples
            self.doubled = self.doubled or seen.doubled
            for value in seen.losses:
                value = _told_apart(value) * scale
                loss = value if loss is nan else plus(loss, value)
            if seen.outputs is not None:
                outputs = seen.outputs if outputs is nan else plus(outputs, seen.outputs)
            for place in seen.places:
                if place.inputs is not None:
                    inputs = place.inputs if inputs is nan else plus(inputs, place.inputs)
                    entries += place.taken
                    if place.layer:
                        # The gradient comes to the first layer last.
                        self.entrance = place.layer.name or place.layer.kind
        if self.told is not None:
            loss, self.told = _told_apart(self.told), None
        self.steps.append(step)
        self.waiting.append((loss, inputs, float(entries or nan), outputs))
        if len(self.waiting) == MOST:
            self._settle()

    def meet(self, moving: Collection[int]) -> None:
        """An optimiser steps, which moves the model's parameters with these ids."""
        self.held.update(moving)
        self.strangers += not moving

    def look_at(self, optimizer: Optimizer) -> None:
        """Notes the learning rates that an optimiser has now. One that is a tensor is not waited for."""
        groups = optimizer.param_groups
        given = [group["lr"] for group in groups if group.get("lr") is not None]
        self.rates = [one.detach().clone() if isinstance(one, Tensor) else float(one) for one in given]
        like_adam = (group["eps"] for group in groups if "betas" in group and isinstance(group.get("eps"), int | float))
        self.eps = next(map(float, like_adam), None)

    @property
    def rate(self) -> float | None:
        """The largest learning rate of the latest optimiser; None if it has none. Waits for a device."""
        return max(gather(self.rates).tolist(), default=None)

    def glimpses(self) -> list[Glimpse]:
        """One for each measured step."""
        self._settle()
        found = []
        for step, (loss, inputs, entries, outputs) in zip(self.steps, self.rows, strict=True):
            found.append(Glimpse(step, float(loss), float((inputs / entries) ** 0.5), float(outputs)))
        return found

    def _settle(self) -> None:
        if self.waiting:
            self.rows += list(gather([one for row in self.waiting for one in row]).reshape(-1, 4))
            self.waiting = []


def _told_apart(value: Scalar) -> Scalar:
    """inf for NaN, which means here that nothing was seen."""
    if isinstance(value, Tensor):
        return value.reshape(()).nan_to_num(nan=inf, posinf=inf, neginf=inf)
    return value if isfinite(value) else inf
