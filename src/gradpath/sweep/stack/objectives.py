"""The loss and the score of each run of a stack."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from gradpath.model.objective import Objective

# Losses of torch that are the mean of a number per sample, or per entry.
MEANS = (nn.BCEWithLogitsLoss, nn.BCELoss, nn.CrossEntropyLoss, nn.HuberLoss, nn.L1Loss, nn.MSELoss, nn.SmoothL1Loss)
# (outputs (runs, batch, out), targets (runs, batch, ...)) -> (runs,)
OfRuns = Callable[[Tensor, Tensor], Tensor]


def losses_of(objective: Objective) -> OfRuns:
    """The mean loss of every run's batch.

    A loss of torch that is a mean is computed for all runs at once, any other for one run after the other.
    """
    criterion = objective.criterion
    plain = type(criterion) in MEANS and criterion.reduction == "mean" and not [*criterion.buffers()]
    if not plain:
        return lambda outputs, targets: torch.stack([objective.loss(*pair) for pair in zip(outputs, targets, strict=True)])
    each = copy.copy(criterion)
    each.reduction = "none"  # type: ignore[assignment]

    def losses(outputs: Tensor, targets: Tensor) -> Tensor:
        given = objective.matched(outputs.flatten(0, 1), targets.flatten(0, 1))
        found: Tensor = each(*given)
        return found.view(len(outputs), -1).mean(1)

    return losses


def scores_of(objective: Objective) -> OfRuns:
    """The metric beside the loss, of every run's batch."""

    def scores(outputs: Tensor, targets: Tensor) -> Tensor:
        each = objective.scores(outputs.flatten(0, 1), targets.flatten(0, 1))
        return each.view(len(outputs), -1).mean(1)

    return scores
