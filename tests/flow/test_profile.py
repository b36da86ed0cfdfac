"""The step-0 profile against autograd sample by sample, and its reading."""

import pytest
import torch
from torch import nn

from gradpath.data.memory import Batch
from gradpath.flow.profile import LayerFlow, measure
from gradpath.flow.verdict import verdict
from gradpath.network import MLP
from gradpath.objective import Objective, Task

OBJECTIVE = Objective(Task.MULTICLASS, nn.CrossEntropyLoss(), 3)


def case(norm: type[nn.Module] | None = None) -> tuple[MLP, Batch]:
    torch.manual_seed(0)
    network = MLP(5, [7, 6], 3, nn.Tanh, norm, "before" if norm else "none").double()
    return network, Batch(torch.randn(9, 5, dtype=torch.float64), torch.randint(3, (9,)))


def test_delta_is_the_gradient_of_each_samples_own_loss() -> None:
    network, batch = case()
    rows = measure(network, OBJECTIVE, batch)
    moments = torch.zeros(3, dtype=torch.float64)
    for x, y in zip(*batch, strict=True):
        # h^l as leaves: the forward pass once more, layer by layer, for one sample.
        h, a = [], x
        for index, linear in enumerate(network.linears):
            h.append((linear.weight @ a + linear.bias).detach().requires_grad_())
            a = torch.tanh(h[index])
        for index in range(3):
            value = h[index]
            for linear in network.linears[index + 1 :]:
                value = linear.weight @ torch.tanh(value) + linear.bias
            (delta,) = torch.autograd.grad(nn.functional.cross_entropy(value[None], y[None]), h[index])
            moments[index] += delta.square().sum() / 9
    assert [row.delta for row in rows] == pytest.approx(moments.sqrt().tolist(), rel=1e-10)


def test_weight_gradients_and_scales() -> None:
    network, batch = case(nn.BatchNorm1d)
    rows = measure(network, OBJECTIVE, batch)
    OBJECTIVE.loss(network(batch.inputs), batch.targets).backward()
    for row, linear in zip(rows, network.linears, strict=True):
        assert linear.weight.grad is not None
        assert row.weight_grad_norm == pytest.approx(linear.weight.grad.norm().item(), rel=1e-10)
        assert row.weight_norm == pytest.approx(linear.weight.norm().item(), rel=1e-10)
    assert [row.layer for row in rows] == ["hidden_01", "hidden_02", "output"]


def test_measuring_leaves_no_trace() -> None:
    network, batch = case(nn.BatchNorm1d)
    network.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    measure(network, OBJECTIVE, batch)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not network.training
    assert not any(linear._forward_hooks for linear in network.linears)


def rows(*deltas: float) -> list[LayerFlow]:
    return [LayerFlow("x", 1, 1.0, 0.0, 1.0, delta, 1.0, 1.0) for delta in (*deltas, 1.0)]


@pytest.mark.parametrize(
    ("deltas", "kind", "ratio", "rate"),
    [
        ((1e-3, 1e-2, 1e-1, 1.0), "vanishing", 1e-3, 0.1),
        ((8.0, 4.0, 2.0, 1.0), "healthy", 8.0, 2.0),
        ((1e4, 1e2, 1.0), "exploding", 1e4, 100.0),
    ],
)
def test_verdict(deltas: tuple[float, ...], kind: str, ratio: float, rate: float) -> None:
    reading = verdict(rows(*deltas))
    assert reading["class"] == kind
    assert reading["ratio"] == pytest.approx(ratio)
    assert reading["rate_per_layer"] == pytest.approx(rate)


def test_verdict_at_the_edges() -> None:
    assert verdict(rows(1.0))["class"] is None
    assert verdict(rows(0.0, 0.0, 1.0))["class"] == "vanishing"
    assert verdict(rows(float("inf"), 1.0, 1.0))["class"] == "exploding"


def test_the_weight_gradient_hides_what_delta_shows() -> None:
    """ReLU, PyTorch's default weights, zero bias, 10 hidden layers of 256: |dW| looks flat while |delta| vanishes."""
    ratios = []
    for seed in range(3):
        torch.manual_seed(seed)
        network = MLP(256, [256] * 10, 10).double()
        for linear in network.linears:
            nn.init.zeros_(linear.bias)
        batch = Batch(torch.randn(256, 256, dtype=torch.float64), torch.randint(10, (256,)))
        table = measure(network, Objective(Task.MULTICLASS, nn.CrossEntropyLoss(), 10), batch)
        ratios.append((table[0].delta / table[9].delta, table[0].weight_grad_norm / table[9].weight_grad_norm))
        assert verdict(table)["class"] == "vanishing"
    delta, weight = (sum(column) / 3 for column in zip(*ratios, strict=True))
    assert delta == pytest.approx(3.4e-4, rel=0.3)
    assert 0.3 < weight < 3
