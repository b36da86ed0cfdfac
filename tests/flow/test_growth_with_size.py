"""What a measured step costs grows with the network, and no faster: counted in lines of ours that run."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import gradpath.flow
from gradpath import probe

OURS = str(Path(gradpath.flow.__file__).parent)


class Fresh(nn.Module):
    """Makes its activations anew in each pass."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(depth)])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = nn.Tanh()(layer(x))
        return x


class Tables(nn.Module):
    """Many embeddings under one trunk."""

    def __init__(self, tables: int) -> None:
        super().__init__()
        self.tables = nn.ModuleList([nn.Embedding(3, 2) for _ in range(tables)])
        self.trunk = nn.Sequential(nn.Linear(2 * tables, 4), nn.Tanh(), nn.Linear(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        return self.trunk(torch.cat([table(x[:, 0].long()) for table in self.tables], 1))


def one_optimizer(model: nn.Module) -> Iterator[None]:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    while True:
        optimizer.zero_grad()
        model(torch.ones(3, 4)).sum().backward()
        optimizer.step()
        yield


def one_for_each_parameter(model: nn.Module) -> Iterator[None]:
    optimizers = {parameter: torch.optim.SGD([parameter], lr=0.01) for parameter in model.parameters()}
    for parameter in model.parameters():

        def step(one: Tensor) -> None:
            optimizers[one].step()
            optimizers[one].zero_grad()

        parameter.register_post_accumulate_grad_hook(step)
    while True:
        model(torch.ones(3, 4)).sum().backward()
        yield


def lines_of_a_step(steps: Iterator[None]) -> int:
    """How many lines of ours run in one."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if event == "call" and not frame.f_code.co_filename.startswith(OURS):
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        next(steps)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize(
    ("make", "train"), [(Fresh, one_optimizer), (Fresh, one_for_each_parameter), (Tables, one_optimizer)]
)
def test_four_times_the_layers_cost_four_times_as_much(
    make: Callable[[int], nn.Module], train: Callable[[nn.Module], Iterator[None]]
) -> None:
    costs = []
    for size in (15, 60):
        model = make(size)
        steps = train(model)
        with probe(model) as p:
            next(steps)
            next(steps)
            costs.append(lines_of_a_step(steps))
        assert len(p.record.steps) >= 3
    assert costs[1] < 4.6 * costs[0], costs
