"""Gradients that are set to zero in ways of which autograd knows nothing."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradpath import probe
from gradpath.flow.cleared import without_zeros
from gradpath.flow.kinds import layers
from gradpath.flow.meters import Meter


def by_numpy(gradient: Tensor) -> None:
    gradient.numpy()[...] = 0


def by_other_data(gradient: Tensor) -> None:
    gradient.data = torch.zeros_like(gradient)


WAYS: dict[str, Callable[[Tensor], object]] = {
    "data": lambda gradient: gradient.data.zero_(),
    "product": lambda gradient: gradient.data.mul_(0),
    "foreach": lambda gradient: torch._foreach_zero_([gradient.data]),
    "numpy": by_numpy,
    "other data": by_other_data,
    "storage": lambda gradient: gradient.untyped_storage().fill_(0),
}


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(10, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 3))


def found(clear: Callable[[Tensor], object]) -> list[str]:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with probe(model) as p:
        for _ in range(10):
            F.cross_entropy(model(torch.randn(32, 10)), torch.randint(3, (32,))).backward()
            optimizer.step()
            for parameter in model.parameters():
                assert parameter.grad is not None
                clear(parameter.grad)
    return [finding["kind"] for finding in p.verdict()["findings"]]


@pytest.mark.parametrize("way", WAYS)
def test_cleared_gradients_are_not_accumulated(way: str) -> None:
    assert found(WAYS[way]) == []


def test_those_that_are_not_cleared_are() -> None:
    assert "accumulated_gradients" in found(lambda _: None)


@pytest.mark.parametrize("way", WAYS)
def test_a_pass_whose_gradients_were_cleared_belongs_to_no_step(way: str) -> None:
    deltas = []
    for thrown_away in (False, True):
        model, x = network(), torch.randn(8, 10, generator=torch.Generator().manual_seed(1))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        with probe(model) as p:
            if thrown_away:
                model(5 * x).square().mean().backward()
                for parameter in model.parameters():
                    assert parameter.grad is not None
                    WAYS[way](parameter.grad)
            model(x).square().mean().backward()
            optimizer.step()
        deltas.append(p.record.row(0)["delta"].tolist())
    assert deltas[0] == deltas[1]


def test_only_zeros_are_cleared() -> None:
    meters = [Meter(layer) for layer in layers(network())]
    assert without_zeros(meters) == []
    for meter in meters:
        assert meter.parameter is not None
        meter.parameter.grad = torch.zeros_like(meter.parameter)
    meters[1].parameter.grad[-1, -1] = 1e-30
    assert without_zeros(meters) == meters[1:2]
