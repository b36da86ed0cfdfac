"""Sums of squares of the parameters' gradients in one step."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from gradpath.flow.norms import Scalar, square_sum, square_sums


class GradientSquares:
    """|dW|^2 and |db|^2 of every layer in one step.

    A gradient is measured as soon as it has been made, while it is still in the cache. In a step of several backward passes
    the last measurement counts.

    Args:
        weights, biases: the layers' parameters; None for a layer that has none to read.
        late: read all biases at once when the step is done. They are small, so this is cheaper; it is right only if nothing
            changes their gradients earlier (clipping, unscaling).
        distributed: read everything at the end of the backward pass, when DDP has averaged the gradients.
    """

    def __init__(
        self, weights: Sequence[Tensor | None], biases: Sequence[Tensor | None], late: bool, distributed: bool
    ) -> None:
        self.weights, self.biases, self.late, self.distributed = weights, biases, late and not distributed, distributed
        self.handles: list[RemovableHandle] = []
        self.unread: list[Scalar] = [float("nan") for _ in (*weights, *biases)]
        self.squares: list[Scalar] = self.unread.copy()
        # The squares of the step before, which tell `square_sum` what magnitudes to expect.
        self.last = self.squares

    def attach(self) -> None:
        if self.distributed:
            return
        for index, parameter in enumerate([*self.weights, *([] if self.late else self.biases)]):
            if parameter is not None and parameter.requires_grad:
                hook = partial(self._measure, index)
                self.handles.append(parameter.register_post_accumulate_grad_hook(hook))  # type: ignore[no-untyped-call]

    def detach(self) -> None:
        for handle in self.handles:
            handle.remove()
        self.handles = []

    def on_backward(self) -> None:
        """Must be called from within each backward pass."""
        if self.distributed:
            # Queued from within a callback, the measurement comes after DDP's own callback, which averages the gradients.
            queue = torch.autograd.Variable._execution_engine.queue_callback
            queue(lambda: queue(self._measure_all))

    def take(self) -> list[Scalar]:
        """Returns the squares of the finished step, weights first, NaN where there is no gradient; begins the next step."""
        if self.late:
            self.squares[len(self.weights) :] = square_sums([None if b is None else b.grad for b in self.biases])
        self.squares, self.last = self.unread.copy(), self.squares
        return self.last

    def _measure(self, index: int, parameter: Tensor) -> None:
        if parameter.grad is not None:
            self.squares[index] = square_sum(parameter.grad, self.last[index])

    def _measure_all(self) -> None:
        self.squares = square_sums([None if p is None else p.grad for p in [*self.weights, *self.biases]])
