"""Quadrature and maps against closed forms and published values."""

from math import asin, pi, sqrt

import pytest
import torch
from torch import nn

from gradpath.theory.mean_field import D, V, critical_sigma_w2, gradient_growth, length_map

# phi, V(1), D(1): closed forms and quadrature to six digits.
MOMENTS = [
    (nn.Tanh(), 0.394294, 0.464403),
    (nn.Sigmoid(), 0.293379, 0.044836),
    (nn.ReLU(), 0.5, 0.5),
    (nn.LeakyReLU(0.2), 0.52, 0.52),
    (nn.GELU(), 0.425221, 0.455851),
    (nn.SiLU(), 0.355776, 0.379482),
    (nn.ELU(), 0.644945, 0.668102),
    (nn.SELU(), 1.0, 1.071575),
]


@pytest.mark.parametrize(("phi", "v", "d"), MOMENTS, ids=lambda x: type(x).__name__)
def test_moments_at_one(phi: nn.Module, v: float, d: float) -> None:
    assert V(phi, 1.0) == pytest.approx(v, abs=1e-6)
    assert D(phi, 1.0) == pytest.approx(d, abs=1e-6)


@pytest.mark.parametrize("q", [1e-4, 0.1, 1.0, 10.0, 100.0])
def test_closed_forms(q: float) -> None:
    assert V(torch.erf, q) == pytest.approx(2 / pi * asin(2 * q / (1 + 2 * q)), rel=1e-9)
    assert D(torch.erf, q) == pytest.approx(4 / (pi * sqrt(1 + 4 * q)), rel=1e-9)
    v_gelu = q / 4 + q / (2 * pi) * asin(q / (1 + q)) + q**2 / (pi * (1 + q) * sqrt(1 + 2 * q))
    assert V(nn.GELU(), q) == pytest.approx(v_gelu, rel=1e-9)
    assert V(nn.ReLU(), q) == pytest.approx(q / 2, rel=1e-12)


# Mean input norm 1, sigma_b = 0, 20 hidden layers.
CRITICAL = [
    (nn.Tanh(), 1.6521),
    (nn.GELU(), 2.1105),
    (nn.SiLU(), 2.4021),
    (nn.ELU(), 1.4930),
    (nn.SELU(), 0.8069),
    (nn.Softplus(), 2.4063),
    (nn.Sigmoid(), 107.8),
    (nn.ReLU(), 2.0),
    (nn.LeakyReLU(0.2), 2 / 1.04),
    (nn.Identity(), 1.0),
]


@pytest.mark.parametrize(("phi", "sigma_w2"), CRITICAL, ids=lambda x: type(x).__name__)
def test_critical(phi: nn.Module, sigma_w2: float) -> None:
    found = critical_sigma_w2(phi, 0.0, 1.0, 20)
    assert found == pytest.approx(sigma_w2, rel=3e-4)
    assert gradient_growth(phi, found, 0.0, 1.0, 20) == pytest.approx(0, abs=1e-6)


def test_no_critical_point_is_said() -> None:
    with pytest.raises(ValueError, match="vanishes at any"):
        critical_sigma_w2(lambda h: h * 0, 0.0, 1.0, 20)


def test_length_map_of_relu_is_geometric() -> None:
    assert length_map(nn.ReLU(), 1.0, 0.5, 2.0, 4) == pytest.approx([2.5, 1.75, 1.375, 1.1875])
