"""Losses and their derivatives with respect to the network's outputs."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from gradpath.byhand.derivatives import sigmoid
from gradpath.byhand.layers import softmax
from gradpath.errors import ConfigError
from gradpath.model.objective import Objective

Pair = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Loss:
    """A mean over the batch. value: of outputs (B, k) and targets, a scalar; gradient: dL/doutputs, (B, k).

    Targets as the criterion takes them: numbers (B, k), or classes (B,) for cross-entropy.
    """

    name: str
    value: Pair
    gradient: Pair
    formula: str
    derivative: str


def mse() -> Loss:
    return Loss(
        "mse",
        lambda z, y: ((z - y) ** 2).mean(),
        lambda z, y: 2 * (z - y) / z.numel(),
        "mean (z - y)^2",
        "2 (z - y) / N",
    )


def l1() -> Loss:
    return Loss(
        "l1", lambda z, y: (z - y).abs().mean(), lambda z, y: (z - y).sign() / z.numel(), "mean |z - y|", "sign(z - y) / N"
    )


def huber(delta: float) -> Loss:
    def value(z: Tensor, y: Tensor) -> Tensor:
        off = (z - y).abs()
        return torch.where(off < delta, off**2 / 2, delta * (off - delta / 2)).mean()

    return Loss(
        "huber",
        value,
        lambda z, y: (z - y).clamp(-delta, delta) / z.numel(),
        f"mean (z - y)^2 / 2 where |z - y| < {delta:g}, else {delta:g} (|z - y| - {delta / 2:g})",
        f"(z - y) / N, cut off at +-{delta:g} / N",
    )


def bce_with_logits() -> Loss:
    return Loss(
        "bce_with_logits",
        # -y ln s(z) - (1 - y) ln(1 - s(z)), without taking the logarithm of 0.
        lambda z, y: (z.clamp(min=0) - z * y + torch.log1p(torch.exp(-z.abs()))).mean(),
        lambda z, y: (sigmoid(z) - y) / z.numel(),
        "-mean [y ln p + (1 - y) ln(1 - p)], p = 1 / (1 + e^-z)",
        "(p - y) / N",
    )


def cross_entropy() -> Loss:
    def value(z: Tensor, classes: Tensor) -> Tensor:
        top = z.amax(1, keepdim=True)
        log_sum = (top + torch.exp(z - top).sum(1, keepdim=True).log()).squeeze(1)
        return (log_sum - z.gather(1, classes[:, None]).squeeze(1)).mean()

    def gradient(z: Tensor, classes: Tensor) -> Tensor:
        p = softmax(z)
        p[torch.arange(len(z)), classes] -= 1
        return p / len(z)

    return Loss("cross_entropy", value, gradient, "-mean ln p_y, p = softmax(z)", "(p - onehot(y)) / B")


def of_objective(objective: Objective) -> Loss:
    """The formulas of an objective's criterion, for targets as the data set has them.

    Raises:
        ConfigError: for this criterion nothing is written out.
    """
    loss = _of_criterion(objective.criterion)
    return replace(
        loss,
        value=lambda z, y: loss.value(*objective.matched(z, y)),
        gradient=lambda z, y: loss.gradient(*objective.matched(z, y)),
    )


def _of_criterion(criterion: nn.Module) -> Loss:
    match criterion:
        case nn.MSELoss(reduction="mean"):
            return mse()
        case nn.L1Loss(reduction="mean"):
            return l1()
        case nn.HuberLoss(reduction="mean"):
            return huber(criterion.delta)
        case nn.BCEWithLogitsLoss(reduction="mean", weight=None, pos_weight=None):
            return bce_with_logits()
        case nn.CrossEntropyLoss(reduction="mean", weight=None, label_smoothing=0.0):
            return cross_entropy()
    raise ConfigError(f"loss={type(criterion).__name__}: no derivative is written out for it; write it in byhand/losses.py.")
