"""The probe as a Lightning callback: it measures while a run trains, keeps the record and feeds the board."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor

from gradpath.flow.norms import log10
from gradpath.flow.probe import Probe
from gradpath.flow.record import Matrix, Record
from gradpath.model.module import GradpathModule
from gradpath.model.network import layer_name

# The curves in TensorBoard. Quantities that span decades are drawn as log10; |dW| is drawn both ways.
LOGARITHMIC = ("delta", "weight_grad_norm", "weight_grad_norm_clipped", "update_ratio", "activation_variance")
LINEAR = (
    "weight_grad_norm",
    "weight_norm",
    "activation_mean",
    "saturated",
    "dead",
    "correlation",
    "rank",
)
# A run draws at most PICTURES pictures of depth x step, using at most PICTURE_SHARE of its time: one takes 0.1 to 0.3 s. The
# first and the last are always drawn.
PICTURES, PICTURE_SHARE = 10, 0.1
# With `every: auto` a run is measured each AUTO steps; a shorter one so often that it has POINTS measurements.
AUTO, POINTS = 50, 20
# Within an epoch the record is saved at most every SAVE_EVERY seconds, so that it can be read while the run goes on. Saving
# takes at most SAVE_SHARE of the time.
SAVE_EVERY, SAVE_SHARE = 2.0, 0.05


class Board(Protocol):
    """Where curves, pictures and histograms go."""

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None: ...
    def log_histogram(self, tag: str, values: Tensor, step: int) -> None: ...
    def log_heatmap(self, record: Record, step: int) -> None: ...


@dataclass(frozen=True)
class Start:
    """What is known about a run before its first step.

    inputs: fixed inputs whose correlation is followed, or None. lines: what theory and other seeds give for step 0, see
    `Record`. verdict: the verdict at the start, or None.
    """

    inputs: Tensor | None = None
    lines: Mapping[str, Matrix] = field(default_factory=dict)
    verdict: Mapping[str, Any] | None = None


def spacing(every: int | str, steps: int) -> int:
    """Steps from one measurement to the next in a run of so many steps; "auto" measures a short run often enough."""
    return every if isinstance(every, int) else max(1, min(AUTO, steps // POINTS))


class FlowCallback(pl.Callback):
    """Measures with a `Probe` every `settings["every"]` steps, and at the last step.

    Args:
        folder: the record is kept there in `flow.npz`, saved at the end of every epoch and now and then in between.
        settings: the keys of a `probe` option: every, slow_every, activations, correlation, rank, histograms.
        start: what the record says about the run's start.
        board: receives curves, pictures and histograms, from the first process only.
        log_every: a curve gets a point at most every `log_every` steps; the record has every measurement.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], start: Start, board: Board, log_every: int) -> None:
        self.folder, self.settings, self.start, self.board, self.log_every = folder, settings, start, board, log_every
        self.probe: Probe | None = None
        self.window: dict[str, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GradpathModule)
        self.first_process = trainer.is_global_zero
        self.written, self.saved, self.cost = -self.log_every, time.monotonic(), 0.0
        self.begun, self.drawing = self.saved, 0.0
        settings = self.settings
        # An epoch without an end has none of a run.
        total = int(min(trainer.estimated_stepping_batches, 2**62))
        self.probe = Probe(
            pl_module.network,
            spacing(settings["every"], total),
            settings["activations"],
            slow_every=settings["slow_every"],
            inputs=self.start.inputs if settings["correlation"] else None,
            rank=settings["rank"],
            clipping=trainer.gradient_clip_val is not None,
            keep=settings["histograms"],
            scaler=getattr(trainer.precision_plugin, "scaler", None),
            passes=trainer.accumulate_grad_batches,
            distributed=trainer.world_size > 1,
            first_step=trainer.global_step,
            last_step=total - 1,
            on_row=self._on_row,
        )
        layers = len(pl_module.network.linears)
        record = Record([layer_name(i, layers) for i in range(layers)], self.probe.rows.ledger.quantities)
        record.lines, record.verdict = dict(self.start.lines), self.start.verdict
        record.continue_from(self.folder, trainer.global_step)
        self.probe.rows.kept = record
        if self.window:
            self.probe.rows.silence.go_on(self.window)
        self.probe.open()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not self.first_process or not self.probe:
            return
        record = self.probe.record
        self._save(record)
        epoch, last = trainer.current_epoch + 1, trainer.max_epochs or 1
        wanted = epoch % -(-last // PICTURES) == 0 and self.drawing <= PICTURE_SHARE * (time.monotonic() - self.begun)
        if record.steps and (epoch == last or wanted):
            before = time.monotonic()
            self.board.log_heatmap(record, trainer.global_step)
            self.drawing += time.monotonic() - before

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._close()

    def state_dict(self) -> dict[str, Any]:
        """How long each unit has been silent, so that a resumed run counts on from there."""
        return self.probe.rows.silence.state() if self.probe else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.window = state_dict

    def _close(self) -> None:
        if self.probe:
            self.probe.close()
            self.probe = None

    def _on_row(self, probe: Probe) -> None:
        if not self.first_process:
            return
        if probe.step - self.written >= self.log_every:
            self.written = probe.step
            self._log_curves(probe.record)
        if self.settings["histograms"]:
            self._log_histograms(probe)
        since = time.monotonic() - self.saved
        if since > SAVE_EVERY and since > self.cost / SAVE_SHARE:
            self._save(probe.record)

    def _log_curves(self, record: Record) -> None:
        row = record.row(-1)
        curves = {f"{name}_log10": log10(row[name]) for name in LOGARITHMIC if name in row}
        curves |= {name: row[name] for name in LINEAR if name in row}
        points = {
            f"{name}/{layer}": value
            for name, curve in curves.items()
            for layer, value in zip(record.layers, curve, strict=True)
            if np.isfinite(value)
        }
        self.board.log_metrics(points, record.steps[-1])

    def _log_histograms(self, probe: Probe) -> None:
        for layer, meter in zip(probe.record.layers, probe.watch.meters, strict=True):
            (weight,) = meter.layer.parameters[:1]
            grad = weight.grad
            outputs = meter.activations.values if meter.activations else None
            for tag, values in (("activation", outputs), ("weight_grad", grad)):
                if values is not None and bool(torch.isfinite(values).all()):
                    self.board.log_histogram(f"{tag}/{layer}", values, probe.step)

    def _save(self, record: Record) -> None:
        begun = time.monotonic()
        record.save(self.folder)
        self.saved = time.monotonic()
        self.cost = self.saved - begun
