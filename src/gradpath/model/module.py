"""The LightningModule: one network, one objective, one optimiser with its schedule."""

from collections.abc import Callable, Iterable
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torchmetrics import MeanAbsoluteError, Metric
from torchmetrics.classification import BinaryAccuracy, MulticlassAccuracy

from gradpath.data.batch import Batch
from gradpath.model.network import MLP
from gradpath.model.objective import Objective, Task

MakeOptimizer = Callable[[Iterable[nn.Parameter]], Optimizer]
MakeSchedule = Callable[[Optimizer, int], LRScheduler]


class GradpathModule(pl.LightningModule):
    """Trains `network` on `objective`.

    Every `trainer.log_every_n_steps` steps it logs lr, train/loss and train/accuracy (means over the steps since they were
    last logged). It also logs train/loss_epoch and train/accuracy_epoch, and loss and accuracy under val/ and test/. For
    regression mae takes the place of accuracy.

    Args:
        make_optimizer: parameters -> optimiser.
        make_schedule: (optimiser, total steps) -> schedule, stepped every step; ReduceLROnPlateau after every epoch, by the
            validation loss.
    """

    last_loss: Tensor

    def __init__(
        self, network: MLP, objective: Objective, make_optimizer: MakeOptimizer, make_schedule: MakeSchedule
    ) -> None:
        super().__init__()
        self.network, self.objective = network, objective
        self.make_optimizer, self.make_schedule = make_optimizer, make_schedule
        self.metrics = nn.ModuleDict({stage: metric_of(objective) for stage in ("val", "test")})
        self.window: list[tuple[Tensor, Tensor, Tensor]] = []
        self.epoch_sums: list[Tensor] = []
        # The latest logged values, for the progress bar.
        self.shown: dict[str, float] = {}
        self.logged_step = 0

    def forward(self, x: Tensor) -> Tensor:
        # The data are float32; the network may not be (precision=64-true).
        outputs: Tensor = self.network(x.to(self.dtype))
        return outputs

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        inputs, targets = batch
        outputs = self(inputs)
        loss = self.objective.loss(outputs, targets)
        self.last_loss = loss.detach()
        # Kept raw, on the device; `_flush` computes the means from all of them at once when they are logged.
        self.window.append((self.last_loss, outputs.detach(), targets))
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        # A step may be several batches (accumulate_grad_batches); it is logged once.
        every: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        if self.global_step == self.logged_step or self.global_step % every:
            return
        self.logged_step = self.global_step
        self.shown = dict(zip(self._names("train"), self._flush().tolist(), strict=True))
        rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        for logger in self.loggers:
            logger.log_metrics({**self.shown, "lr": rate, "epoch": self.current_epoch}, self.global_step)

    def on_train_epoch_start(self) -> None:
        self.epoch_sums.clear()

    def epoch_means(self) -> dict[str, Tensor]:
        """train/loss and train/accuracy of the epoch so far. This is a collective call, which every process must make."""
        if self.window:
            self._flush()
        total = torch.stack(self.epoch_sums).sum(0)
        return dict(zip(self._names("train"), total[:2] / total[2], strict=True))

    def on_train_epoch_end(self) -> None:
        self.log_dict({f"{name}_epoch": value for name, value in self.epoch_means().items()}, sync_dist=True)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._evaluate("val", batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self._evaluate("test", batch)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        optimizer = self.make_optimizer(self.network.parameters())
        schedule = self.make_schedule(optimizer, int(self.trainer.estimated_stepping_batches))
        if isinstance(schedule, ReduceLROnPlateau):
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "monitor": "val/loss"}}
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # A normalisation of a user may be random. The states are plain tensors, which load with weights_only=True.
        checkpoint["rng_state"] = torch.get_rng_state()
        checkpoint["cuda_rng_state"] = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        torch.set_rng_state(checkpoint["rng_state"].cpu())
        if len(checkpoint["cuda_rng_state"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all([state.cpu() for state in checkpoint["cuda_rng_state"]])

    def _evaluate(self, stage: str, batch: Batch) -> None:
        inputs, targets = batch
        outputs = self(inputs)
        loss_name, metric_name = self._names(stage)
        metric = self.metrics[stage]
        assert isinstance(metric, Metric)
        prediction = self.objective.prediction(outputs)
        metric.update(prediction, targets.reshape_as(prediction))
        loss = self.objective.loss(outputs, targets)
        self.log(loss_name, loss, batch_size=len(inputs), on_step=False, on_epoch=True, sync_dist=True)
        self.log(metric_name, metric, on_step=False, on_epoch=True)

    def _flush(self) -> Tensor:
        """The mean loss and score (2,) over all processes since the last flush; their sums are added to the epoch's."""
        losses, outputs, targets = zip(*self.window, strict=True)
        # Samples are counted in float32 at least: bfloat16 cannot tell 6400 of them from 6416.
        loss = torch.stack(losses).to(torch.promote_types(losses[0].dtype, torch.float32))
        sizes = loss.new_tensor([len(batch) for batch in targets])
        score = self.objective.score(torch.cat(outputs), torch.cat(targets))
        sums = torch.stack([(loss * sizes).sum(), score * sizes.sum(), sizes.sum()])
        self.window.clear()
        sums = self.trainer.strategy.reduce(sums, reduce_op="sum")
        self.epoch_sums.append(sums)
        return sums[:2] / sums[2]

    def _names(self, stage: str) -> tuple[str, str]:
        return f"{stage}/loss", f"{stage}/{self.objective.metric_name}"


def metric_of(objective: Objective) -> Metric:
    """A fresh torchmetrics metric, updated with (`objective.prediction`, targets)."""
    if objective.task == Task.MULTICLASS:
        return MulticlassAccuracy(objective.outputs, average="micro", validate_args=False)
    if objective.task == Task.BINARY:
        return BinaryAccuracy(validate_args=False)
    return MeanAbsoluteError()
