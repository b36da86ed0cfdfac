"""A training program with a fault and without it, and the small networks and data that such programs share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradpath.verdict.probing import probe

SAMPLES, FEATURES, CLASSES, BATCH = 512, 20, 3, 64
Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Program:
    """A program that is run with its fault and without it.

    train: from whether it is faulty to the verdict. kinds, causes: findings and causes that name the fault.
    """

    name: str
    train: Callable[[bool], dict[str, Any]]
    kinds: frozenset[str]
    causes: frozenset[str]


Row = tuple[str, Callable[[bool], dict[str, Any]], str, str]


def perceptron(
    depth: int = 3,
    width: int = 64,
    activation: Callable[[], nn.Module] = nn.ReLU,
    std: float | None = None,
    outputs: int = CLASSES,
) -> nn.Sequential:
    """Hidden layers with He's initialisation, or with normal weights of a given deviation."""
    torch.manual_seed(0)
    parts: list[nn.Module] = []
    for index in range(depth):
        layer = nn.Linear(width if index else FEATURES, width)
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu") if std is None else nn.init.normal_(layer.weight, std=std)
        nn.init.zeros_(layer.bias)
        parts += [layer, activation()]
    return nn.Sequential(*parts, nn.Linear(width, outputs))


def classes() -> tuple[Tensor, Tensor]:
    """Inputs, and the class that a linear teacher gives them."""
    torch.manual_seed(1)
    x = torch.randn(SAMPLES, FEATURES)
    return x, (x @ torch.randn(FEATURES, CLASSES)).argmax(1)


def numbers() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    x = torch.randn(SAMPLES, FEATURES)
    return x, torch.tanh(x @ torch.randn(FEATURES, 1) / FEATURES**0.5)


def train(
    model: nn.Module,
    data: tuple[Tensor, Tensor],
    loss: Loss = F.cross_entropy,
    *,
    optimizer: torch.optim.Optimizer | None = None,
    steps: int = 60,
    clear: bool = True,
    step: bool = True,
    clip: float | None = None,
) -> dict[str, Any]:
    """A plain training loop with the probe around it. Returns the verdict."""
    optimizer = optimizer or torch.optim.Adam(model.parameters(), lr=1e-3)
    x, y = data
    with probe(model) as p:
        for index in range(steps):
            rows = slice(BATCH * (index % (len(x) // BATCH)), BATCH * (index % (len(x) // BATCH)) + BATCH)
            if clear:
                optimizer.zero_grad()
            value: Any = loss(model(x[rows]), y[rows])
            value.backward()
            if clip is not None:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            if step:
                optimizer.step()
    return p.verdict()


def sgd(model: nn.Module, lr: float = 0.05, **options: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=lr, **options)
