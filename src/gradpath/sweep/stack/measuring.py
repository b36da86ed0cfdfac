"""What the probe measures, of all runs of a stack at once."""

from functools import partial

import numpy as np
import torch
from torch import Tensor

from gradpath.flow.dead_units import WINDOW
from gradpath.flow.norms import square_sums_of_rows
from gradpath.flow.quantities import Ledger, reckon
from gradpath.flow.record import Matrix
from gradpath.flow.saturation import Shape, shape_of
from gradpath.sweep.stack.stacked import Stack

NAN = float("nan")


class Measuring:
    """Measures steps of a stack. Every number is one per run and layer.

    In a step that is to be measured, call `begin`, hand `watch` to the stack's forward call, and call `after_backward`,
    `after_clipping` and `end`.

    Args:
        activations: whether activations are measured too. clipping: whether |dW| is measured again after clipping.
    """

    def __init__(self, stack: Stack, activations: bool, clipping: bool) -> None:
        self.stack, self.with_activations, self.clipping = stack, activations, clipping
        self.layers = {name.removesuffix(".linear"): index for index, name in enumerate(stack.linear_names)}
        self.shapes = {name.removesuffix(".activation"): shape_of(part) for name, part in stack.activations}
        asked = ["activations"] * activations + ["clipped"] * clipping
        ledger = Ledger(asked)
        self.names, self.quantities = ledger.names, ledger.quantities
        self.steps: list[int] = []
        self.rows: list[Tensor] = []
        # For each layer: samples since each unit of each run was last positive, and samples seen.
        self.idle: dict[int, tuple[Tensor, int]] = {}

    def begin(self, slow: bool) -> None:
        """A step begins. `slow`: weights and activations are read as well."""
        self.slow = slow
        self.now: dict[str, list[Tensor | None]] = {name: [None] * len(self.layers) for name in self.names}
        self.samples = 0

    def watch(self, name: str, x: Tensor) -> None:
        """The output of a part of the stack."""
        block, _, part = name.rpartition(".")
        if part == "linear":
            index = self.layers[block]
            self.samples = x.shape[1]
            self._put("samples", index, self._all(x.shape[1]))
            self._put("entries", index, self._all(x.shape[1] * x.shape[2]))
            x.register_hook(partial(self._on_gradient, index, x.shape[1]))  # type: ignore[no-untyped-call]
        elif part == "activation" and self.with_activations and self.slow:
            self._on_activation(self.layers[block], self.shapes[block], x.detach())

    def after_backward(self) -> None:
        """The gradients are there, and no optimiser has seen them."""
        self._gradients("grad", "bias")
        if self.slow:
            self.before = [linear.weight.detach().clone() for linear in self.stack.linears]
            for index, weight in enumerate(self.before):
                self._put("weight", index, square_sums_of_rows(weight))

    def after_clipping(self) -> None:
        if self.clipping:
            self._gradients("clipped", None)

    def end(self, step: int) -> None:
        """The optimisers have made their step."""
        if self.slow:
            for index, linear in enumerate(self.stack.linears):
                self._put("changed", index, square_sums_of_rows(self.before[index].sub_(linear.weight.detach())))
        unseen = self._all(NAN)
        columns = [torch.stack([unseen if one is None else one for one in self.now[name]], 1) for name in self.names]
        self.steps.append(step)
        self.rows.append(torch.stack(columns, 1))

    def take(self) -> tuple[list[int], Matrix]:
        """The steps measured since the last call, and their quantities: (runs, steps, quantities, layers)."""
        steps, rows, self.steps, self.rows = self.steps, self.rows, [], []
        if not steps:
            return [], np.empty((self.stack.runs, 0, len(self.quantities), len(self.layers)))
        read = torch.stack(rows, 1).cpu().numpy()
        runs, count, names, layers = read.shape
        flat = read.reshape(runs * count, names, layers)
        centres = [self.shapes[name].centre if name in self.shapes else 0.0 for name in self.layers]
        found = reckon(
            {name: flat[:, index] for index, name in enumerate(self.names)},
            scale=np.ones((runs * count, 1)),
            centres=np.tile(centres, (runs * count, 1)),
        )
        table = np.stack([found[name] for name in self.quantities], axis=1)
        return steps, table.reshape(runs, count, len(self.quantities), layers)

    def _gradients(self, of_weights: str, of_biases: str | None) -> None:
        for index, linear in enumerate(self.stack.linears):
            if linear.weight.grad is not None:
                self._put(of_weights, index, square_sums_of_rows(linear.weight.grad))
            if of_biases and linear.bias.grad is not None:
                self._put(of_biases, index, square_sums_of_rows(linear.bias.grad))

    def _on_gradient(self, index: int, samples: int, grad: Tensor) -> None:
        # The mean over the batch put a factor of 1 / samples into every gradient; it is taken out here.
        self._put("delta", index, samples**2 * square_sums_of_rows(grad))

    def _on_activation(self, index: int, shape: Shape, outputs: Tensor) -> None:
        # As `activation_sums.sums`, for each run by itself.
        rows = outputs if outputs.dtype in (torch.float32, torch.float64) else outputs.float()
        centred = rows - shape.centre if shape.centre else rows
        peak = rows.sum(1) if shape.nonnegative else rows.abs().amax(1)
        self._put("total", index, (peak.sum(1) if shape.total_is_peak else centred.sum((1, 2))).double())
        self._put("squares", index, square_sums_of_rows(centred))
        self._put("outputs", index, self._all(rows[0].numel()))
        saturated = shape.saturated(rows, (1, 2))
        self._put("saturated", index, self._all(NAN) if saturated is None else saturated.double())
        idle, before = self.idle.get(index, (torch.zeros_like(peak, dtype=torch.int64), 0))
        seen = before + rows.shape[1]
        idle = torch.where(peak > 0, 0, idle + rows.shape[1])
        self.idle[index] = idle, seen
        self._put("dead", index, (idle >= min(seen, WINDOW)).double().mean(1))

    def _put(self, name: str, index: int, values: Tensor) -> None:
        self.now[name][index] = values

    def _all(self, value: float) -> Tensor:
        first = self.stack.linears[0].weight
        return torch.full((self.stack.runs,), value, dtype=torch.float64, device=first.device)
