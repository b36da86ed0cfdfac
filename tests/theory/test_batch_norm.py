"""The rate behind BatchNorm against published values, closed forms and a measured network."""

from math import log, pi

import pytest
import torch
from torch import nn

from gradpath.model.network import MLP
from gradpath.theory.batch_norm import batch_norm_rate

BEFORE = [
    (nn.Tanh(), 1.177807),
    (nn.Sigmoid(), 1.033592),
    (nn.ReLU(), 1.466942),
    (nn.LeakyReLU(0.2), 1.243600),
    (nn.GELU(), 1.318845),
    (nn.SiLU(), 1.212081),
    (nn.ELU(), 1.079013),
    (nn.SELU(), 1.071575),
]


@pytest.mark.parametrize(("phi", "rate"), BEFORE, ids=lambda x: type(x).__name__)
def test_before_the_activation(phi: nn.Module, rate: float) -> None:
    assert batch_norm_rate(phi, "before", 7.0) == pytest.approx(rate, abs=6e-7)


def test_closed_forms() -> None:
    for a in (0.0, 0.01, 0.5, 1.0):
        expected = (1 + a * a) / (1 + a * a - (1 - a) ** 2 / pi)
        assert batch_norm_rate(nn.LeakyReLU(a), "before") == pytest.approx(expected, rel=1e-12)
        assert batch_norm_rate(nn.LeakyReLU(a), "after", 3.0) == pytest.approx(expected, rel=1e-12)


def test_after_the_activation() -> None:
    rates = [batch_norm_rate(nn.Tanh(), "after", sigma_w2) for sigma_w2 in (1, 2, 25 / 9)]
    assert rates == pytest.approx([1.178, 1.344, 1.456], abs=6e-4)


@pytest.mark.parametrize("placement", ["before", "after"])
@pytest.mark.parametrize("phi", [nn.ReLU, nn.Tanh])
def test_a_network_explodes_at_this_rate(phi: type[nn.Module], placement: str) -> None:
    """Growth of |delta|^2 over the interior layers, with a random cotangent; width 256, batch 512."""
    torch.manual_seed(0)
    depth, sigma_w2 = 16, 2.0
    slopes = []
    for _ in range(3):
        network = MLP(256, [256] * depth, 256, phi, nn.BatchNorm1d, placement)
        for linear in network.linears:
            nn.init.normal_(linear.weight, std=(sigma_w2 / 256) ** 0.5)
            nn.init.zeros_(linear.bias)
        h: list[torch.Tensor] = []
        for linear in network.linears:
            linear.register_forward_hook(lambda m, x, y, h=h: h.append(y))
        outputs = network(torch.randn(512, 256))
        squares = [g.square().sum().item() for g in torch.autograd.grad(outputs, h, torch.randn_like(outputs))]
        slopes.append(log(squares[3] / squares[12]) / 9)
    measured = sum(slopes) / 3
    assert measured == pytest.approx(log(batch_norm_rate(phi(), placement, sigma_w2)), abs=0.03)


def test_wrong_input() -> None:
    with pytest.raises(ValueError, match="before or after"):
        batch_norm_rate(nn.ReLU(), "none")
    with pytest.raises(ValueError, match="constant"):
        batch_norm_rate(lambda h: h * 0, "before")
