"""Networks as drawn lie inside theory's band; networks that break its assumptions lie outside."""

import numpy as np
import pytest
import torch
from torch import nn

from gradpath.data.batch import Batch
from gradpath.flow.profile import measure
from gradpath.model.initialization import he_normal
from gradpath.model.network import MLP
from gradpath.model.objective import Objective, Task
from gradpath.model.predicted import predict_network
from gradpath.theory.prediction import Prediction
from gradpath.verdict.deviation import Deviation, deviation

OBJECTIVE = Objective(Task.MULTICLASS, nn.CrossEntropyLoss(), 10)


def networks(count: int, phi: type[nn.Module], depth: int = 10) -> list[MLP]:
    made = []
    for seed in range(count):
        torch.manual_seed(seed)
        made.append(MLP(40, [120] * depth, 10, phi).double())
        he_normal(made[-1], torch.zeros(1, 40), gain=1.3)
    return made


def batch() -> Batch:
    draw = torch.Generator().manual_seed(1)
    return Batch(torch.randn(64, 40, generator=draw, dtype=torch.float64), torch.randint(10, (64,), generator=draw))


def compared(made: list[MLP]) -> Deviation:
    rows = [measure(network, OBJECTIVE, batch()) for network in made]
    theory = predict_network(made[0], rows[0], batch().inputs)
    assert theory is not None
    found = deviation([[row.delta for row in profile[:-1]] for profile in rows], theory)
    assert found is not None
    return found


@pytest.mark.parametrize("phi", [nn.ReLU, nn.Tanh, nn.Sigmoid, nn.GELU])
def test_networks_as_drawn_are_inside(phi: type[nn.Module]) -> None:
    found = compared(networks(5, phi))
    assert not found.outside
    assert found.lowest <= found.measured <= found.highest
    assert found.theory[0] < found.theory[1]


def test_weights_that_are_not_independent_are_outside() -> None:
    """The entries of every row are sorted: sigma_w^2 stays the same, but theory is wrong."""
    made = networks(5, nn.Tanh)
    with torch.no_grad():
        for network in made:
            for linear in network.linears[1:-1]:
                linear.weight.copy_(linear.weight.sort(dim=1).values)
    found = compared(made)
    assert found.outside
    assert str(found).endswith(": outside")


def test_a_trained_network_is_outside() -> None:
    (network,) = networks(1, nn.ReLU)
    optimizer, data = torch.optim.Adam(network.parameters(), lr=0.003), batch()
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(data.inputs), data.targets).backward()
        optimizer.step()
    assert compared([network]).outside


def test_the_sentence() -> None:
    assert str(Deviation(0.834, 0.82, 0.85, 5, (0.7589, 0.7702))) == (
        "measured 0.834 per layer (0.82 to 0.85 over 5 seeds), theory 0.759 to 0.77: outside"
    )
    assert str(Deviation(1.0, 1.0, 1.0, 1, (0.99, 1.01))) == "measured 1.000 per layer, theory 0.990 to 1.010: inside"


def test_nothing_to_compare() -> None:
    theory = Prediction([], None, np.zeros(0))
    assert deviation([[1.0, 1.0]], theory) is None
