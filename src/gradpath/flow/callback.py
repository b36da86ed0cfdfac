"""Measuring while a run trains."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from gradpath.flow.norms import log10, norms
from gradpath.flow.record import Record
from gradpath.module import GradpathModule
from gradpath.network import MLP, layer_name

QUANTITIES = ["weight_grad_norm", "weight_norm", "update_ratio"]
Write = Callable[[Mapping[str, float], int], None]


def tags(layers: list[str]) -> list[str]:
    """Every TensorBoard tag that this callback writes."""
    return [f"{family}/{layer}" for family in _families() for layer in layers]


class FlowCallback(pl.Callback):
    """Per layer, every `every` steps: |dW|, |W| and the update ratio |W_after - W_before| / |W_before|.

    Norms are taken after AMP's unscaling and before clipping, fused over all layers; one transfer per measured step, no
    work on the others.

    Args:
        folder: where the record is kept.
        every: optimiser steps between two measurements.
        write: takes the named values and the step, on the first process only.
    """

    def __init__(self, folder: Path, every: int, write: Write) -> None:
        self.folder, self.every, self.write = folder, every, write
        self.measuring: tuple[int, Tensor, list[Tensor]] | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        layers = len(_network(pl_module).linears)
        self.record = Record([layer_name(i, layers) for i in range(layers)], QUANTITIES)
        self.record.continue_from(self.folder, trainer.global_step)

    def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer) -> None:
        if trainer.global_step % self.every:
            return
        weights = [linear.weight for linear in _network(pl_module).linears]
        grads = [w.grad if w.grad is not None else torch.zeros_like(w) for w in weights]
        before = [w.detach().clone() for w in weights]
        self.measuring = trainer.global_step, norms([*grads, *before]), before

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.measuring is None:
            return
        step, before_step, before = self.measuring
        self.measuring = None
        with torch.no_grad():
            change = torch._foreach_sub([linear.weight for linear in _network(pl_module).linears], before)
        # The one transfer: three numbers per layer.
        values = torch.cat([before_step, norms(change)]).double().cpu().numpy().reshape(3, -1)
        if not trainer.is_global_zero:
            return
        # All-zero weights (init=zeros) have no ratio to speak of.
        values[2] = np.divide(values[2], values[1], out=np.zeros_like(values[2]), where=values[1] > 0)
        self.record.add(step, values)
        curves = {name: values[index] for index, name in enumerate(QUANTITIES)}
        families = {name: log10(curves[name[:-6]]) if name.endswith("_log10") else curves[name] for name in _families()}
        self.write(
            {
                f"{name}/{layer}": v
                for name, row in families.items()
                for layer, v in zip(self.record.layers, row, strict=True)
            },
            step,
        )

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero:
            self.record.save(self.folder)


def _families() -> list[str]:
    return ["weight_grad_norm", "weight_grad_norm_log10", "weight_norm", "update_ratio_log10"]


def _network(module: pl.LightningModule) -> MLP:
    assert isinstance(module, GradpathModule)
    return module.network
