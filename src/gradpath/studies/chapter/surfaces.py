"""Losses of two weights, on which the path of an optimiser can be drawn."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.optim import Optimizer

from gradpath.data.xor import CORNERS, LABELS
from gradpath.studies.papers.networks import built

Path = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Surface:
    """A loss of two weights, and the task that optimisers have on it.

    title: its name.
    formula: the loss in words.
    loss: (..., 2) -> (...), the loss of each pair of weights.
    start: the weights at which every optimiser begins.
    goal: the loss to be reached.
    window: the part of the plane that is drawn, ((left, right), (bottom, top)).
    weights: the labels of the axes.
    """

    title: str
    formula: str
    loss: Callable[[Tensor], Tensor]
    start: tuple[float, float]
    goal: float
    window: tuple[tuple[float, float], tuple[float, float]]
    weights: tuple[str, str] = ("w1", "w2")


def ravine(w: Tensor, condition: float = 100.0) -> Tensor:
    """A valley whose curvature across is `condition` times that along it. `w`: (..., 2); returns (...)."""
    return (w[..., 0] ** 2 + condition * w[..., 1] ** 2) / 2


def saddle(w: Tensor) -> Tensor:
    """A steep descent to the saddle at 0, from which a faint slope leads to the minima at w2 = -1 and w2 = 1.

    `w`: (..., 2); returns (...).
    """
    return 2 * w[..., 0] ** 2 - w[..., 1] ** 2 / 2 + w[..., 1] ** 4 / 4


def xor(w: Tensor) -> Tensor:
    """Binary cross-entropy of a 2-2-1 tanh network on the four points of XOR, as a function of its hidden slopes a and b.

    The hidden units are tanh(a (x1 + x2 - 1/2)) and tanh(b (x1 + x2 - 3/2)), and the logit is 3 (h1 - h2 - 1). Large a and b
    solve XOR. A weight decay of 0.01 keeps the minimum from lying at infinity. `w`: (..., 2), a and b; returns (...).
    """
    total, labels = CORNERS.double().sum(1), LABELS.double()
    a, b = w[..., :1], w[..., 1:]
    logits = 3 * (torch.tanh(a * (total - 0.5)) - torch.tanh(b * (total - 1.5)) - 1)
    return binary_cross_entropy_with_logits(logits, labels.expand_as(logits), reduction="none").mean(-1) + 0.005 * (
        w**2
    ).sum(-1)


SURFACES = (
    Surface("ravine", "(w1^2 + 100 w2^2) / 2", ravine, (-4.0, 1.0), 0.01, ((-4.6, 2.4), (-1.3, 1.3))),
    Surface("saddle", "2 w1^2 - w2^2 / 2 + w2^4 / 4", saddle, (0.8, 1e-3), -0.24, ((-1.0, 1.0), (-0.4, 1.5))),
    Surface(
        "XOR loss",
        "of a 2-2-1 tanh network whose hidden slopes are a and b",
        xor,
        (-2.0, 1.5),
        0.165,
        ((-2.8, 7.8), (-1.2, 6.8)),
        ("slope a", "slope b"),
    ),
)


def walks(surface: Surface, optimizer: str, rates: Sequence[float], steps: int) -> Path:
    """Follows an optimiser at several learning rates; returns the weights before each step and after the last.

    All rates are computed at once. An optimiser's state depends on the gradients alone, and its step is proportional to the
    learning rate, so a step at rate 1 is computed and scaled by each rate.

    Args:
        optimizer: an option of the group `optimizer`.

    Returns:
        (rates, steps + 1, 2).
    """
    each = torch.tensor(rates, dtype=torch.float64)[:, None]
    weights = nn.Parameter(torch.tensor(surface.start, dtype=torch.float64).repeat(len(rates), 1))
    stepper, path = _maker(optimizer)([weights]), [weights.detach().clone()]
    stepper.param_groups[0]["lr"] = 1.0
    for _ in range(steps):
        (weights.grad,) = torch.autograd.grad(surface.loss(weights).sum(), weights)
        stepper.step()
        with torch.no_grad():
            weights.copy_(path[-1] + each * (weights - path[-1]))
        path.append(weights.detach().clone())
    return torch.stack(path, 1).numpy()


@cache
def _maker(optimizer: str) -> Callable[[Iterable[Any]], Optimizer]:
    return built(0, "data=xor", f"optimizer={optimizer}").make_optimizer


def steepness(surface: Surface) -> float:
    """The ratio, at the start, of the gradient in the second weight to that in the first, in absolute value."""
    start = torch.tensor(surface.start, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(surface.loss(start), start)
    return float((gradient[1] / gradient[0]).abs())


def departure(path: Path) -> float:
    """The number of steps until the second weight is more than 1/2 from the saddle; inf if it never is. `path`: (S, 2)."""
    left = np.abs(path[:, 1]) > 0.5
    return float(left.argmax()) if left.any() else float("inf")


def arrival(surface: Surface, path: Path) -> float:
    """The number of steps after which the loss stays at the goal or below; inf if it does not. `path`: (S, 2)."""
    # `not <=` instead of `>`, because a loss of NaN has not arrived either.
    off = np.flatnonzero(~(surface.loss(torch.from_numpy(path)).numpy() <= surface.goal))
    return float(off[-1] + 1) if off[-1] + 1 < len(path) else float("inf")
