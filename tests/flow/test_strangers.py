"""Modules that are called inside the block and are no part of the model."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradpath import probe


@dataclass
class Unhashable(nn.Module):
    """A dataclass is compared by its fields, and has no hash."""

    weight: float

    def __post_init__(self) -> None:
        super().__init__()

    def forward(self, outputs: Tensor, y: Tensor) -> Tensor:
        return self.weight * F.cross_entropy(outputs, y)


def test_a_loss_that_has_no_hash() -> None:
    model, loss = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), Unhashable(0.5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with probe(model) as p:
        for _ in range(2):
            optimizer.zero_grad()
            loss(model(torch.randn(5, 4)), torch.arange(5) % 3).backward()
            optimizer.step()
    assert p.record.steps == [0, 1]


class Fresh(nn.Module):
    """Makes its activations anew in each pass, and counts how often somebody asks for its modules."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.layers, self.walks = nn.ModuleList([nn.Linear(4, 4) for _ in range(depth)]), 0

    def named_modules(self, *args: Any, **kwargs: Any) -> Iterator[tuple[str, nn.Module]]:
        self.walks += 1
        yield from super().named_modules(*args, **kwargs)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = nn.Tanh()(layer(x))
        return x


def test_modules_made_in_forward_do_not_let_the_model_be_walked_each_time() -> None:
    walks = []
    for depth in (5, 40):
        model = Fresh(depth)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        with probe(model):
            for _ in range(3):
                before = model.walks
                optimizer.zero_grad()
                model(torch.randn(3, 4)).sum().backward()
                optimizer.step()
        walks.append(model.walks - before)
    assert walks[0] == walks[1]


def test_a_part_that_is_made_in_forward_and_kept_is_a_layer() -> None:
    """Each is made when it is needed first, after others were called."""

    class Growing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            x = nn.Tanh()(self.first(x))
            for name in ("second", "third"):
                if not hasattr(self, name):
                    setattr(self, name, nn.Linear(4, 4))
                x = nn.Tanh()(getattr(self, name)(x))
            return x

    model = Growing()
    with probe(model) as p:
        model(torch.randn(3, 4)).sum().backward()
        p.step()
    assert p.record.layers == ["first", "second", "third"]
    assert (p.record.row(0)["delta"] > 0).all()
