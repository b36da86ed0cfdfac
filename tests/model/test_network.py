"""Shapes, counts, and every gradient against finite differences."""

import pickle

import pytest
import torch
from torch import nn

from conftest import ACTIVATIONS, NORMS, network_of
from gradpath.activations import Function
from gradpath.model.network import MLP, count_parameters


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_equal_finite_differences(activation: str, norm: str) -> None:
    torch.manual_seed(0)
    network = network_of(activation, norm, [7, 6, 5]).double()
    x, y = torch.randn(8, 5, dtype=torch.float64), torch.randint(3, (8,))

    def loss() -> torch.Tensor:
        return nn.functional.cross_entropy(network(x), y)

    loss().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None
        direction = torch.randn_like(parameter)
        step = 1e-6
        with torch.no_grad():
            parameter += step * direction
            above = loss()
            parameter -= 2 * step * direction
            below = loss()
            parameter += step * direction
        numeric = (above - below).item() / (2 * step)
        analytic = (parameter.grad * direction).sum().item()
        assert numeric == pytest.approx(analytic, rel=1e-5, abs=1e-8), name


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("norm", NORMS)
def test_forward_follows_the_formula(activation: str, norm: str) -> None:
    """phi(norm(Wx + b)) with the norm before, norm(phi(Wx + b)) after; written out with the network's own weights."""
    torch.manual_seed(0)
    network = network_of(activation, norm, [7]).double()
    x = torch.randn(8, 5, dtype=torch.float64)
    hidden, output = network.linears
    h = x @ hidden.weight.T + hidden.bias

    def normalize(values: torch.Tensor) -> torch.Tensor:
        over = 0 if norm.startswith("batch") else 1
        centred = values - values.mean(over, keepdim=True)
        return centred / (centred.square().mean(over, keepdim=True) + 1e-5).sqrt()

    phi = network.activation
    assert phi is not None
    if norm.endswith("before"):
        h = phi(normalize(h))
    elif norm.endswith("after"):
        h = normalize(phi(h))
    else:
        h = phi(h)
    assert torch.allclose(network(x), h @ output.weight.T + output.bias, atol=1e-12)


@pytest.mark.parametrize(("hidden", "parameters"), [([], 7850), ([128], 101770), ([512, 256], 535818)])
def test_parameter_counts(hidden: list[int], parameters: int) -> None:
    network = MLP(784, hidden, 10)
    by_hand = sum(m * n + n for m, n in zip([784, *hidden], [*hidden, 10], strict=True))
    assert count_parameters(network) == by_hand == sum(row.parameters for row in network.summary())
    assert by_hand == parameters


def test_the_table_lists_every_layer() -> None:
    network = MLP(784, [128], 10)
    text = repr(network)
    assert "784 -> 128" in text
    assert "128 -> 10" in text
    assert "101,770" in text
    row = network.summary()[0]
    assert row.sigma_w2 == pytest.approx(784 * network.linears[0].weight.double().var(correction=0).item(), rel=1e-9)
    assert row.sigma_w2 == pytest.approx(1 / 3, rel=0.02)
    assert row.sigma_b2 == pytest.approx(1 / (3 * 784), rel=0.5)


def test_images_are_flattened() -> None:
    assert MLP(784, [16], 10)(torch.zeros(3, 1, 28, 28)).shape == (3, 10)


def test_a_function_activation_can_travel_to_another_process() -> None:
    network = network_of("erf", "none", [7])
    copy = pickle.loads(pickle.dumps(network))
    x = torch.randn(4, 5)
    assert isinstance(copy.activation, Function)
    assert torch.equal(copy(x), network(x))
