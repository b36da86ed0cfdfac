"""A run's checkpoints: when they are written, and how one is read back (with `weights_only`)."""

import os
import re
import shutil
import time
import warnings
from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor

from gradpath.errors import ConfigError
from gradpath.files import open_regular, relative, temporary, write_atomically
from gradpath.model.network import MLP, layer_name

BEST, LAST = Path("checkpoints/best.ckpt"), Path("checkpoints/last.ckpt")
PREFIX = "network."
# Seconds of training that no run takes.
LONGEST = 1e12
REAL = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


class EpochCheckpoints(Checkpoint):
    """Saves the end of every epoch as `last.ckpt`, and the best epoch by validation as `best.ckpt`.

    `last.ckpt` is the mark of completion that a resumed run starts from, so it is the last file of an epoch to change.
    Lightning logs an epoch's metrics after it has called the callbacks: the checkpoint is written there, and takes its place
    when the next epoch begins or training ends. Nothing in it depends on where the folder lies.

    Args:
        folder: the run's folder.
        monitor: the metric of validation that tells which epoch is best.
        higher: whether a higher value of it is better.
    """

    def __init__(self, folder: Path, monitor: str, higher: bool) -> None:
        self.folder, self.monitor, self.sign = folder, monitor, 1 if higher else -1
        self.best = -inf
        self.is_best = False
        self.completed = 0
        # When training began, and the seconds of what it goes on from.
        self._begun, self._before = time.monotonic(), 0.0

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "seconds": self._before + time.monotonic() - self._begun}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best, self._before = state_dict["best"], seconds_of(state_dict)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._begun = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        score = trainer.callback_metrics.get(self.monitor)
        # The metric of an earlier epoch may still be there. It is not better than itself, and NaN than nothing.
        self.is_best = score is not None and self.sign * float(score) > self.best
        if score is not None and self.is_best:
            self.best = self.sign * float(score)
        self.completed = trainer.fit_loop.epoch_progress.current.completed
        (self.folder / LAST).parent.mkdir(exist_ok=True)
        trainer.save_checkpoint(self._written)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._put_in_place(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._put_in_place(trainer)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        # SIGTERM ends a run when an epoch is complete.
        if trainer.fit_loop.epoch_progress.current.completed > self.completed:
            self._put_in_place(trainer)
        elif trainer.is_global_zero:
            self._written.unlink(missing_ok=True)

    @property
    def _written(self) -> Path:
        return temporary(self.folder / LAST)

    def _put_in_place(self, trainer: pl.Trainer) -> None:
        if not trainer.is_global_zero or not self._written.is_file():
            return
        with self._written.open("rb") as file:
            os.fsync(file.fileno())
            if self.is_best:
                write_atomically(self.folder / BEST, lambda best: shutil.copyfileobj(file, best))
        self._written.replace(self.folder / LAST)


def load_checkpoint(path: Path, network: MLP) -> dict[str, Any]:
    """Reads a checkpoint and checks that its weights fit `network`.

    Raises:
        ConfigError: the file is missing or damaged, or its network differs from `network`. The message names the first
            layer that differs.
    """
    try:
        # Torch warns of the tensors that are refused here.
        with open_regular(path) as file, warnings.catch_warnings(action="ignore"):
            checkpoint: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    # A damaged file can raise a dozen types of exception, from zipfile's to pickle's.
    except Exception as error:
        raise unreadable(path, type(error).__name__) from None
    state = checkpoint.get("state_dict") if isinstance(checkpoint, dict) else None
    if not isinstance(state, dict):
        raise unreadable(path, "it has no state_dict")
    for key, value in state.items():
        if not isinstance(key, str) or not key.startswith(PREFIX) or not is_plain(value):
            raise unreadable(path, f"state_dict has no weights in {key}")
    saved, expected = network_state(checkpoint), network.state_dict()
    for name in [*expected, *saved]:
        old, new = saved.get(name), expected.get(name)
        if old is None or new is None or old.shape != new.shape:
            raise ConfigError(
                f"{relative(path)}: another architecture, {_layer_of(name, len(network.blocks))}: {name} is {_shape(old)} "
                f"in the checkpoint and {_shape(new)} in this network."
            )
        if not same_kind(old, new):
            raise unreadable(path, f"{name} is of {old.dtype}")
    return checkpoint


def seconds_of(state: Mapping[str, Any]) -> float:
    """The seconds of training that the state of `EpochCheckpoints` counts; 0 of a version that counted none."""
    found = state.get("seconds", 0.0)
    return float(found) if 0 < found < LONGEST else 0.0


def unreadable(path: Path, reason: str) -> ConfigError:
    return ConfigError(f"{relative(path)}: not a readable checkpoint ({reason}).")


def is_plain(value: Any) -> bool:
    """Whether it is a tensor whose numbers are all there: neither sparse nor without a device."""
    return isinstance(value, Tensor) and value.layout == torch.strided and value.device.type == "cpu"


def same_kind(old: Tensor, new: Tensor) -> bool:
    """Whether both hold whole numbers of one type, or both real ones: a run may go on in another precision."""
    return old.dtype == new.dtype or (old.dtype in REAL and new.dtype in REAL)


def network_state(checkpoint: dict[str, Any]) -> dict[str, Tensor]:
    """The network's part of a checkpoint's state_dict."""
    return {k.removeprefix(PREFIX): v for k, v in checkpoint["state_dict"].items() if k.startswith(PREFIX)}


def _layer_of(parameter: str, blocks: int) -> str:
    """`blocks.1.linear.weight` -> `from hidden_02 on`."""
    found = re.match(r"blocks\.(\d{1,6})\.", parameter)
    return f"from {layer_name(int(found[1]), blocks)} on" if found else "with other parts"


def _shape(tensor: Tensor | None) -> str:
    return "absent" if tensor is None else " x ".join(map(str, tensor.shape)) or "a number"
