"""Maps, fixed points and depth scales against published values and closed forms."""

from math import acos, exp, inf, isnan, log, nan, pi, sqrt

import pytest
import torch
from torch import nn

from gradpath.errors import ConfigError
from gradpath.theory.mean_field import (
    correlation_map,
    critical_sigma_w2,
    gradient_growth,
    length_map,
    mean_field,
    trainable_depth,
)

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


# Schoenholz et al. 2016, tanh, sigma_b^2 = .05: sigma_w^2, c*, xi_c.
DEPTH_SCALES = [(1, 1, 3.627), (1.3, 1, 7.834), (1.5, 1, 15.79), (2, 0.7441, 25.21), (2.5, 0.4468, 11.8), (4, 0.1651, 6.98)]


@pytest.mark.parametrize(("sigma_w2", "c_star", "xi_c"), DEPTH_SCALES)
def test_depth_scales_of_tanh(sigma_w2: float, c_star: float, xi_c: float) -> None:
    found = mean_field("tanh", sigma_w2, 0.05)
    assert found.c_star == pytest.approx(c_star, abs=6e-5)
    assert found.xi_c == pytest.approx(xi_c, rel=5e-4)
    assert trainable_depth(found) == 6 * found.xi_c
    assert found.phase == ("ordered" if sigma_w2 < 1.7 else "chaotic")


# sigma_b^2 -> (sigma_w^2, q*, slope of the length map) at which chi_1 = 1.
EDGES = {
    "tanh": {0.01: (1.4242, 0.2733, 0.68), 0.05: (1.7610, 0.5701, 0.52), 0.1: (1.9861, 0.8058, 0.44)},
    "elu": {0.01: (1.3833, 0.4378, 0.87), 0.05: (1.5337, 1.3009, 0.86), 0.1: (1.6067, 2.2128, 0.86)},
    "selu": {0.01: (0.7602, 0.3089, 0.79), 0.05: (0.9018, 0.8273, 0.74), 0.1: (0.9803, 1.3135, 0.72)},
    "sigmoid": {0.01: (103.03, 45.6, 0.06), 0.05: (103.13, 45.7, 0.06), 0.1: (103.25, 45.8, 0.06)},
}


@pytest.mark.parametrize(("name", "sigma_b2"), [(name, b) for name, edges in EDGES.items() for b in edges])
def test_the_edge_of_chaos(name: str, sigma_b2: float) -> None:
    sigma_w2, q_star, slope = EDGES[name][sigma_b2]
    found = mean_field(name, sigma_w2, sigma_b2)
    assert found.phase == "critical"
    assert found.chi_1 == pytest.approx(1, abs=1e-4)
    assert found.q_star == pytest.approx(q_star, rel=1e-3)
    assert exp(-1 / found.xi_q) == pytest.approx(slope, abs=6e-3)


# LeCun and He without biases, PyTorch's default at width 256: chi_1, and q* where it is given.
CHI = [
    ("sigmoid", 1, 0, 0.0557, 0.2647),
    ("tanh", 1, 0, 1, 0),
    ("gelu", 1, 0, 0.25, 0),
    ("silu", 1, 0, 0.25, 0),
    ("sigmoid", 2, 0, 0.1010, None),
    ("tanh", 2, 0, 1.1055, 0.6180),
    ("gelu", 2, 0, 0.5, 0),
    ("silu", 2, 0, 0.5, 0),
    ("relu", 2, 0, 1, 2),
    ("relu", 1, 0, 0.5, 0),
    ("tanh", 25 / 9, 0, 1.2098, 1.1785),
    ("selu", 1, 0, 1.071575, 1),
    ("sigmoid", 1 / 3, 1 / 768, 0.0200, None),
    ("tanh", 1 / 3, 1 / 768, 0.3320, None),
    ("relu", 1 / 3, 1 / 768, 0.1667, None),
    ("gelu", 1 / 3, 1 / 768, 0.0836, None),
    ("elu", 1 / 3, 1 / 768, 0.3223, None),
    ("selu", 1 / 3, 1 / 768, 0.6525, None),
]


@pytest.mark.parametrize(("name", "sigma_w2", "sigma_b2", "chi_1", "q_star"), CHI)
def test_chi(name: str, sigma_w2: float, sigma_b2: float, chi_1: float, q_star: float | None) -> None:
    found = mean_field(name, sigma_w2, sigma_b2)
    assert found.chi_1 == pytest.approx(chi_1, abs=6e-5)
    if q_star is not None:
        assert found.q_star == pytest.approx(q_star, abs=6e-5)


def test_a_length_map_without_fixed_point() -> None:
    found = mean_field("selu", 2.0, 0.0)
    assert (found.q_star, found.phase) == (inf, "chaotic")
    assert found.xi_grad < 0
    assert isnan(found.c_star)


def test_depth_scales_are_those_of_the_maps() -> None:
    """Iterated, both maps approach their fixed points by a factor e in xi layers."""
    phi, sigma_w2, sigma_b2 = nn.Tanh(), 2.0, 0.05
    field = mean_field(phi, sigma_w2, sigma_b2)
    far = [abs(q - field.q_star) for q in length_map(phi, sigma_w2, sigma_b2, 3.0, 14)]
    assert log(far[8] / far[13]) / 5 == pytest.approx(1 / field.xi_q, rel=1e-3)
    q, c, near = field.q_star, field.c_star + 1e-3, []
    for _ in range(20):
        _, _, c = correlation_map(phi, sigma_w2, sigma_b2, q, q, c)
        near.append(abs(c - field.c_star))
    assert log(near[9] / near[19]) / 10 == pytest.approx(1 / field.xi_c, rel=5e-3)


def test_correlations_of_relu() -> None:
    """Published for He's ReLU from c_0 = 0: c_1 = 1/pi, c_10, c_100, and l^2 (1 - c_l) -> 9 pi^2 / 2."""
    c, qa, qb, seen = 0.0, 2.0, 0.3, {}
    phi = nn.ReLU()
    for layer in range(1, 101):
        expected = (sqrt(1 - c * c) + c * (pi - acos(c))) / pi
        qa, qb, c = correlation_map(phi, 2.0, 0.0, qa, qb, c)
        assert c == pytest.approx(expected, abs=1e-11)
        seen[layer] = c
    assert (qa, qb) == pytest.approx((2.0, 0.3))
    assert seen[1] == pytest.approx(1 / pi, abs=1e-12)
    assert (seen[10], seen[100]) == pytest.approx((0.871536, 0.996423), abs=1e-6)


def test_an_activation_of_the_users() -> None:
    """A tanh in other words: the same theory."""
    theirs = mean_field(lambda h: 2 * torch.sigmoid(2 * h) - 1, 2.0, 0.05)
    ours = mean_field("tanh", 2.0, 0.05)
    assert (theirs.q_star, theirs.c_star, theirs.xi_c) == pytest.approx((ours.q_star, ours.c_star, ours.xi_c), rel=1e-9)


def test_wrong_input() -> None:
    with pytest.raises(ConfigError, match="Did you mean gelu"):
        mean_field("gelus", 1.0, 0.0)
    with pytest.raises(ValueError, match="must be > 0"):
        mean_field("gelu", 0.0, 0.0)
    with pytest.raises(ValueError, match="must be > 0"):
        mean_field("gelu", 1.0, float("nan"))


def test_wrong_numbers_are_refused() -> None:
    for weights, biases in ((0.0, 0.0), (-1.0, 0.0), (1.0, -1.0), (inf, 0.0), (1.0, inf), (nan, 0.0)):
        with pytest.raises(ValueError, match="must be > 0"):
            mean_field("tanh", weights, biases)
    for biases, norm, depth in ((-1.0, 1.0, 5), (0.0, -1.0, 5), (0.0, 1.0, 0), (nan, 1.0, 5)):
        with pytest.raises(ValueError, match="must be >= 0"):
            critical_sigma_w2("tanh", biases, norm, depth)
    with pytest.raises(ConfigError, match="Did you mean tanh"):
        critical_sigma_w2("tanhh", 0.0, 1.0, 5)
    assert critical_sigma_w2("relu", 0.0, 1.0, 5) == pytest.approx(2, abs=1e-9)
