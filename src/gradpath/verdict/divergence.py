"""The first NaN or Inf of a run: its step, its layer and its quantity."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gradpath.data.batch import Batch
from gradpath.flow.record import Record
from gradpath.model.network import MLP, layer_name


@dataclass(frozen=True)
class Divergence:
    """Where a run stopped being finite. `step` counts the optimiser steps done before it."""

    step: int
    layer: str
    quantity: str

    def __str__(self) -> str:
        return f"step {self.step} in {self.layer} ({self.quantity})"


def first_not_finite(record: Record) -> Divergence | None:
    """The first quantity in a probe's record that was not finite, or None.

    Within a step the search goes forwards through the layers, then back. A record holds inf for what was not finite; NaN
    only says that nothing was measured.
    """
    order = [("weight_norm", "weight", 1), ("activation_variance", "activation", 1)]
    order += [("delta", "delta", -1), ("weight_grad_norm", "weight gradient", -1)]
    bad = {name: np.isinf(record.matrix(name)) for name, *_ in order if name in record.quantities}
    rows = np.flatnonzero(np.any([matrix.any(1) for matrix in bad.values()], axis=0)) if record.steps else np.array([])
    if not len(rows):
        return None
    step = int(rows[0])
    for direction in (1, -1):
        for place in range(len(record.layers))[::direction]:
            for name, quantity, way in order:
                if way == direction and name in bad and bad[name][step, place]:
                    return Divergence(record.steps[step], record.layers[place], quantity)
    return None


@torch.no_grad()
def locate(network: MLP, batch: Batch, step: int) -> Divergence:
    """The first quantity of a network that is not finite.

    The search goes through weights, pre-activations and activations in the order of the forward pass, then through the loss
    and the gradients in the order of the backward pass.
    """
    names = [layer_name(i, len(network.blocks)) for i in range(len(network.blocks))]
    x = batch.inputs.flatten(1)
    for name, block, linear in zip(names, network.blocks, network.linears, strict=True):
        if not all(map(_is_finite, block.parameters())):
            return Divergence(step, name, "weight")
        if not _is_finite(linear(x)):
            return Divergence(step, name, "pre-activation")
        x = block(x)
        if not _is_finite(x):
            return Divergence(step, name, "activation")
    for name, linear in reversed(list(zip(names, network.linears, strict=True))):
        if any(p.grad is not None and not _is_finite(p.grad) for p in linear.parameters()):
            # The output layer's gradient comes straight from the loss, so the loss is named.
            return Divergence(step, name, "loss" if name == "output" else "weight gradient")
    return Divergence(step, names[-1], "loss")


def _is_finite(values: Tensor) -> bool:
    return bool(torch.isfinite(values).all())
