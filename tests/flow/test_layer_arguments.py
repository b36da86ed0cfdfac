"""Models whose first argument is not the batch, and layers that are called again and again."""

import pytest
import torch
from torch import Tensor, nn

from gradpath.verdict.probing import JudgingProbe, probe


def seen(model: nn.Module, *args: Tensor) -> JudgingProbe:
    with probe(model) as p:
        model(*args).square().mean().backward()
        p.step()
    return p


class Timed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(11, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 3))

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        t, x = (one, other) if one.ndim == 1 else (other, one)
        result: Tensor = self.net(torch.cat([x, t[:, None]], 1))
        return result


def test_a_vector_of_times_before_the_batch_is_not_one_sample() -> None:
    t, x = torch.rand(64), torch.randn(64, 10)
    found, expected = (seen(Timed(), *args).record.row(0)["delta"] for args in ((t, x), (x, t)))
    assert found == pytest.approx(expected)


class Graph(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.parts = nn.ModuleList(Convolution(16, 16) for _ in range(3))

    def forward(self, neighbours: Tensor, x: Tensor) -> Tensor:
        for part in self.parts:
            x = part(neighbours, torch.relu(x))
        return x


class Convolution(nn.Linear):
    def forward(self, neighbours: Tensor, x: Tensor) -> Tensor:  # type: ignore[override]
        return neighbours @ super().forward(x)


def test_a_sparse_argument_switches_nothing_off() -> None:
    x = torch.randn(20, 16)
    found, expected = (seen(Graph(), neighbours, x) for neighbours in (torch.eye(20).to_sparse(), torch.eye(20)))
    assert found.record.row(0)["delta"] == pytest.approx(expected.record.row(0)["delta"])
    assert found.verdict()["class"] == "healthy"


def test_the_columns_of_joins_are_in_the_order_of_use() -> None:
    class Repeated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.i, self.c, self.o = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = self.i(x)
            for _ in range(4):
                x = x + torch.tanh(self.c(x))
            result: Tensor = self.o(x)
            return result

    found = seen(Repeated(), torch.randn(8, 16)).record.layers
    assert found == ["i", "c", "c +", "c#2 +", "c#3 +", "c#4 +", "o"]
