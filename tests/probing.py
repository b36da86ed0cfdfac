"""Plain training loops with the probe around them."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradpath.flow.probe import Probe
from gradpath.model.network import MLP
from gradpath.verdict.probing import probe
from oracle import Batch


def batches(count: int, size: int = 8, features: int = 5, classes: int = 3) -> list[Batch]:
    generator = torch.Generator().manual_seed(1)
    return [
        (
            3 * torch.randn(size, features, dtype=torch.float64, generator=generator),
            torch.randint(classes, (size,), generator=generator),
        )
        for _ in range(count)
    ]


def measured(
    network: nn.Module, steps: list[list[Batch]], optimizer: torch.optim.Optimizer, clip: float | None = None, **options: Any
) -> Probe:
    """Trains in a plain loop with the probe around it, one optimiser step for each list of micro-batches in `steps`."""
    with probe(network, **options) as p:
        for micro in steps:
            optimizer.zero_grad()
            for x, y in micro:
                (F.cross_entropy(network(x), y) / len(micro)).backward()
            if clip is not None:
                torch.nn.utils.clip_grad_norm_(network.parameters(), clip)
            optimizer.step()
    return p


def twice(make: Callable[[], MLP]) -> Iterator[tuple[MLP, torch.optim.Optimizer]]:
    """Yields two equal networks with their optimisers."""
    for _ in range(2):
        torch.manual_seed(0)
        network = make()
        yield network, torch.optim.Adam(network.parameters(), lr=0.01)


def check(p: Probe, expected: list[dict[str, Any]], rel: float = 1e-6) -> None:
    assert p.record is not None
    assert p.record.steps == list(range(len(expected)))
    for step, row in enumerate(expected):
        got = p.record.row(step)
        for name in set(row) & set(got):
            assert got[name] == pytest.approx(row[name], rel=rel, abs=1e-12, nan_ok=True), (name, step)


def steps_of(model: nn.Module, batch: Tensor, count: int = 2, **options: Any) -> Probe:
    """Takes `count` steps of SGD on the mean square of the outputs, with the probe around them."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with probe(model, **options) as p:
        for _ in range(count):
            optimizer.zero_grad()
            model(batch).square().mean().backward()
            optimizer.step()
    return p


class Shared(nn.Module):
    """A network that uses one matrix twice and another never, with activations that are functions, not modules."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Linear(4, 4)
        self.last = nn.Linear(4, 3)
        self.twice = nn.Linear(4, 4, bias=False)
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(F.relu(self.twice(F.relu(self.twice(x)))))
