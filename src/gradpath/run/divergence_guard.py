"""The guard stops a run at its first NaN or Inf and records where it appeared."""

import json
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gradpath.files import write_text
from gradpath.model.module import GradpathModule
from gradpath.model.network import MLP
from gradpath.verdict.divergence import Divergence, locate

FILE = "divergence.json"


class DivergenceGuard(pl.Callback):
    """Stops a run after its first NaN or Inf and writes `divergence.json`.

    In a single process on a CPU a check costs nothing: every step is checked, and the weights stay as they were before the
    bad step. Elsewhere a check makes the host wait for the device. There, the device itself notes the first bad step, and
    the host checks every `every` steps and at the end of the epoch. The reported layer is the first that is not finite at
    that check.

    Args:
        folder: `divergence.json` is written here.
        every: optimiser steps between two checks.
    """

    def __init__(self, folder: Path, every: int) -> None:
        self.folder, self.every = folder, every

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.alone_on_cpu = trainer.world_size == 1 and trainer.strategy.root_device.type == "cpu"
        # A gradient scaler handles overflow itself: it skips the step and goes on with a smaller scale.
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
                # Without gradients the next optimiser step leaves the weights unchanged.
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
    """The divergence that the guard found in this run, or None. Raises ValueError if its file is damaged."""
    path = folder / FILE
    if not path.is_file():
        return None
    found = json.loads(path.read_text())
    types = {"step": int, "layer": str, "quantity": str}
    if not isinstance(found, dict) or {key: type(value) for key, value in found.items()} != types or found["step"] < 0:
        raise ValueError(f"{path}: not a divergence")
    return Divergence(**found)


def _probe_value(network: nn.Module) -> Tensor:
    """A number that is not finite once a gradient is not: the sum of the first bias gradient, which is computed last."""
    for parameter in network.parameters():
        if parameter.grad is not None and parameter.ndim == 1:
            return parameter.grad.sum()
    return torch.zeros((), device=next(network.parameters()).device)
