"""The step-0 profile against autograd, sample by sample and layer by layer."""

import pytest
import torch
from torch import nn

from gradpath.data.batch import Batch
from gradpath.flow.profile import measure
from gradpath.model.network import MLP
from gradpath.model.objective import Objective, Task

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
        # The forward pass of one sample is done again, layer by layer, with every h^l as a leaf.
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
        assert linear.bias.grad is not None
        assert row.bias_grad_norm == pytest.approx(linear.bias.grad.norm().item(), rel=1e-10)
    assert [row.layer for row in rows] == ["hidden_01", "hidden_02", "output"]


def test_activations_and_correlations() -> None:
    torch.manual_seed(0)
    network = MLP(5, [7, 6], 3, nn.Tanh).double()
    with torch.no_grad():
        network.linears[1].weight.copy_(torch.ones(6, 7))
        network.linears[1].bias.zero_()
        network.linears[2].weight.copy_(torch.arange(3.0)[:, None].expand(3, 6))
    batch = Batch(6 * torch.randn(9, 5, dtype=torch.float64), torch.randint(3, (9,)))
    rows = measure(network, OBJECTIVE, batch)
    x = batch.inputs
    for row, block in zip(rows[:-1], network.blocks, strict=False):
        h = block.linear(x)
        x = torch.tanh(h)
        assert row.q == pytest.approx(h.square().mean().item(), rel=1e-10)
        assert row.activation_mean == pytest.approx(x.mean().item(), rel=1e-10)
        assert row.activation_variance == pytest.approx(x.var(correction=0).item(), rel=1e-10)
        assert row.saturated == pytest.approx((x.abs() > 0.97).double().mean().item())
        assert row.dead == 0
        assert row.correlation == pytest.approx(nn.functional.cosine_similarity(h[0], h[1], dim=0).item(), rel=1e-10)
    assert 0 < rows[0].saturated < 1
    assert [row.symmetric for row in rows] == [False, True, False]
    with torch.no_grad():
        network.linears[2].weight.normal_()
    # Now the next layer's weights tell the units apart, so they will not stay the same.
    assert not measure(network, OBJECTIVE, batch)[1].symmetric
    assert rows[-1].activation_mean is None


def test_measuring_leaves_no_trace() -> None:
    network, batch = case(nn.BatchNorm1d)
    network.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    measure(network, OBJECTIVE, batch)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not network.training
    assert not any(linear._forward_hooks for linear in network.linears)
