"""The first NaN or Inf of a run: at which step, in which layer, of which quantity."""

import json
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gradpath.data.memory import Batch
from gradpath.files import write_text
from gradpath.flow.record import Record
from gradpath.model.module import GradpathModule
from gradpath.model.network import MLP, layer_name

FILE = "divergence.json"


@dataclass(frozen=True)
class Divergence:
    """Where a run stopped being finite. `step` counts the optimiser steps done before it."""

    step: int
    layer: str
    quantity: str

    def __str__(self) -> str:
        return f"step {self.step} in {self.layer} ({self.quantity})"


class DivergenceGuard(pl.Callback):
    """Stops a run after its first NaN or Inf and writes `divergence.json`.

    On a CPU in one process a look costs nothing: every step is looked at, and the weights stay as they were before the
    accident. Elsewhere a look makes the host wait for the device: the device itself notes the first bad step, the host
    looks every `every` steps and at the end of the epoch, and the layer is the first that is not finite by then.

    Args:
        folder: where `divergence.json` is written.
        every: optimiser steps between two looks.
    """

    def __init__(self, folder: Path, every: int) -> None:
        self.folder, self.every = folder, every

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.alone_on_cpu = trainer.world_size == 1 and trainer.strategy.root_device.type == "cpu"
        # A gradient scaler's overflow is its own business: it skips that step and goes on with a smaller scale.
        self.scaled = getattr(trainer.precision_plugin, "scaler", None) is not None
        self.first_bad = torch.full((), -1, device=trainer.strategy.root_device)
        if trainer.is_global_zero:
            (self.folder / FILE).unlink(missing_ok=True)

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int) -> None:
        self.batch = batch

    def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer) -> None:
        assert isinstance(pl_module, GradpathModule)
        value = pl_module.last_loss
        if not self.scaled:
            value = value + _probe_value(pl_module.network)
        if self.alone_on_cpu:
            if not isfinite(value.item()):
                self._stop(trainer, pl_module.network, trainer.global_step)
                # Without gradients the coming step leaves the weights alone.
                optimizer.zero_grad(set_to_none=True)
            return
        fine = torch.isfinite(value) | (self.first_bad >= 0)
        self.first_bad = torch.where(fine, self.first_bad, trainer.global_step)
        if trainer.global_step % self.every == 0:
            self._look(trainer, pl_module.network)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GradpathModule)
        if not self.alone_on_cpu:
            self._look(trainer, pl_module.network)

    def _look(self, trainer: pl.Trainer, network: MLP) -> None:
        first = int(self.first_bad)
        if not trainer.should_stop and not trainer.strategy.reduce_boolean_decision(first < 0, all=True):
            self._stop(trainer, network, first if first >= 0 else trainer.global_step)

    def _stop(self, trainer: pl.Trainer, network: MLP, step: int) -> None:
        if trainer.is_global_zero:
            found = locate(network, self.batch, step)
            write_text(self.folder / FILE, json.dumps(asdict(found)))
        trainer.should_stop = True


def load(folder: Path) -> Divergence | None:
    """What the guard found in this run, or None."""
    path = folder / FILE
    return Divergence(**json.loads(path.read_text())) if path.is_file() else None


def first_not_finite(record: Record) -> Divergence | None:
    """The first quantity that was not finite among what a probe measured, or None: forwards through the layers, then back.

    A record holds inf for it; NaN only says that nothing was measured.
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
    """The first quantity that is not finite: weights and pre-activations in the order of the forward pass, then the loss,
    then the gradients in the order of the backward pass."""
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
            # The gradient of the output layer comes straight from the loss.
            return Divergence(step, name, "loss" if name == "output" else "weight gradient")
    return Divergence(step, names[-1], "loss")


def _is_finite(values: Tensor) -> bool:
    return bool(torch.isfinite(values).all())


def _probe_value(network: nn.Module) -> Tensor:
    """A number that is not finite once a gradient is: the sum of the first, hence last computed, bias gradient."""
    for parameter in network.parameters():
        if parameter.grad is not None and parameter.ndim == 1:
            return parameter.grad.sum()
    return torch.zeros((), device=next(network.parameters()).device)
