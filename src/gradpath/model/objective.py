"""From the data's task to the loss, the prediction and the metric."""

from dataclasses import dataclass
from enum import StrEnum

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradpath.task_losses import LOSSES, check_loss, check_output


class Task(StrEnum):
    """What the targets are: real numbers, one of two classes, or one of many."""

    REGRESSION = "regression"
    BINARY = "binary"
    MULTICLASS = "multiclass"


LOSS_OF_TASK: dict[Task, type[nn.Module]] = {Task(task): getattr(nn, name) for task, name in LOSSES.items()}
CLASS_LOSSES = (nn.CrossEntropyLoss, nn.NLLLoss)


@dataclass(frozen=True)
class Objective:
    """A loss on the network's outputs for a task.

    Targets are as the data has them: class indices (batch,) for the two classification tasks, (batch, outputs) or (batch,)
    for regression.
    """

    task: Task
    criterion: nn.Module
    outputs: int

    @property
    def metric_name(self) -> str:
        return "mae" if self.task == Task.REGRESSION else "accuracy"

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of a batch, a scalar. `outputs`: (batch, outputs)."""
        loss: Tensor = self.criterion(*self.matched(outputs, targets))
        return loss

    def prediction(self, outputs: Tensor) -> Tensor:
        """The predicted class (batch,), or the regressed values (batch, outputs)."""
        if self.task == Task.MULTICLASS:
            return outputs.argmax(1)
        if self.task == Task.BINARY:
            return (outputs.squeeze(1) > self._boundary).long()
        return outputs

    def score(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The metric of one batch, a scalar on the device: cheap enough for a training step."""
        return self.scores(outputs, targets).mean()

    @torch.no_grad()
    def scores(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The metric of each sample (batch,), or of each of its regressed values (batch, outputs)."""
        prediction = self.prediction(outputs)
        if self.task == Task.REGRESSION:
            return (prediction - targets.reshape_as(prediction)).abs()
        return (prediction == targets).float()

    @property
    def _boundary(self) -> float:
        # Logits are cut at 0. A squared error fits the class number itself, which is cut at 0.5.
        return 0.0 if isinstance(self.criterion, nn.BCEWithLogitsLoss) else 0.5

    def matched(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs and targets as the criterion takes them: classes as they are, or numbers in the shape of the outputs."""
        if isinstance(self.criterion, CLASS_LOSSES):
            return outputs, targets
        if self.task == Task.MULTICLASS:
            return outputs, F.one_hot(targets, self.outputs).to(outputs.dtype)
        return outputs, targets.reshape_as(outputs).to(outputs.dtype)


def build_objective(
    task: str, outputs: int, criterion: nn.Module | None, tasks: list[str] | None, output: str, option: str = ""
) -> Objective:
    """The objective for a data set's task.

    Args:
        criterion: the loss, or None for the task's own.
        tasks: the tasks that the loss is defined for; None for every task.
        output: what the network applies to its last layer ("none", "sigmoid", "softmax").
        option: the name of the loss as it was chosen, for error messages; if left out its class is named.

    Raises:
        ConfigError: the loss does not fit the task or applies `output` a second time, or `output` is softmax of one value.
    """
    kind = Task(task)
    check_loss(kind, tasks, option or type(criterion).__name__)
    if criterion is None:
        criterion = LOSS_OF_TASK[kind]()
    of_torch = type(criterion).__module__.startswith("torch.")
    check_output(outputs, type(criterion).__name__ if of_torch else "", output)
    return Objective(kind, criterion, outputs)
