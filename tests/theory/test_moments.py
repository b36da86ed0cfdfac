"""Quadrature against closed forms, and against scipy's."""

from collections.abc import Callable
from math import asin, erf, erfc, exp, pi, sqrt

import pytest
import torch
from scipy.integrate import dblquad, quad
from torch import Tensor, nn

from gradpath.theory.moments import D, V, V_slope, both, mean, pair, slope_moment
from gradpath.theory.quadrature import kinks

# phi, V(1), D(1): to six digits.
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
RANGE = [10.0 ** (k / 2) for k in range(-12, 7)]


@pytest.mark.parametrize(("phi", "v", "d"), MOMENTS, ids=lambda x: type(x).__name__)
def test_moments_at_one(phi: nn.Module, v: float, d: float) -> None:
    assert V(phi, 1.0) == pytest.approx(v, abs=6e-7)
    assert D(phi, 1.0) == pytest.approx(d, abs=6e-7)
    assert both(phi, 1.0) == pytest.approx((V(phi, 1.0), D(phi, 1.0)), rel=1e-14)


@pytest.mark.parametrize("q", RANGE)
def test_closed_forms(q: float) -> None:
    closed: list[tuple[Callable[[Tensor], Tensor], float, float]] = [
        (nn.Identity(), q, 1.0),
        (nn.ReLU(), q / 2, 0.5),
        (nn.LeakyReLU(0.2), 0.52 * q, 0.52),
        (torch.erf, 2 / pi * asin(2 * q / (1 + 2 * q)), 4 / (pi * sqrt(1 + 4 * q))),
        (
            nn.GELU(),
            q / 4 + q / (2 * pi) * asin(q / (1 + q)) + q**2 / (pi * (1 + q) * sqrt(1 + 2 * q)),
            1 / 4
            + asin(q / (1 + q)) / (2 * pi)
            + q / (2 * pi * sqrt(1 + 2 * q)) * (1 / (1 + 2 * q) + (1 - q) / (1 + q) + 1),
        ),
    ]
    for phi, v, d in closed:
        assert V(phi, q) == pytest.approx(v, rel=1e-9, abs=0)
        assert D(phi, q) == pytest.approx(d, rel=1e-9, abs=0)


@pytest.mark.parametrize("q", RANGE)
def test_hard_kinks(q: float) -> None:
    """Of clamp(h, a, b): the variance of a truncated Gaussian, and the probability of its inside."""

    def clamped(a: float, b: float) -> tuple[float, float]:
        def upto(t: float) -> tuple[float, float]:
            """Over 0 < z < t / sqrt(q): of h^2, and of 1."""
            z = t / sqrt(q)
            return q * (erf(z / sqrt(2)) / 2 - z * exp(-(z**2) / 2) / sqrt(2 * pi)), erf(z / sqrt(2)) / 2

        above = b * b * erfc(b / sqrt(2 * q)) / 2 + a * a * (erfc(-a / sqrt(2 * q)) / 2 if a else 0)
        (square_b, inside_b), (square_a, inside_a) = upto(b), upto(-a)
        return square_a + square_b + above, inside_a + inside_b

    for phi, a, b in ((nn.Hardtanh(), -1.0, 1.0), (nn.ReLU6(), 0.0, 6.0)):
        v, d = clamped(a, b)
        assert V(phi, q) == pytest.approx(v, rel=1e-8, abs=0)
        assert D(phi, q) == pytest.approx(d, rel=1e-8, abs=0)


def shifted(h: Tensor) -> Tensor:
    """A kink at a place of the user's own, and a jump."""
    return torch.where(h < 1.2345, h * 0, h) + torch.where(h > -0.777, h.square(), 0.777**2 + 0 * h)


def test_kinks_are_found_anywhere() -> None:
    assert kinks(nn.Tanh()) == kinks(nn.GELU()) == kinks(torch.sin) == ()
    assert kinks(nn.ReLU6()) == pytest.approx((0, 6), abs=1e-9)
    assert kinks(nn.Hardshrink(0.5)) == pytest.approx((-0.5, 0.5), abs=1e-9)
    assert kinks(nn.Hardswish()) == pytest.approx((-3, 3), abs=1e-9)
    # Only the second derivative jumps.
    assert kinks(nn.ELU()) == pytest.approx((0,), abs=1e-9)
    assert kinks(shifted) == pytest.approx((-0.777, 1.2345), abs=1e-9)
    assert kinks(lambda h: torch.relu(h - 300.7)) == pytest.approx((300.7,), abs=1e-9)


@pytest.mark.parametrize("q", [0.1, 1.0, 4.0])
def test_an_activation_of_the_users_own(q: float) -> None:
    def at(z: float) -> float:
        return shifted(torch.tensor(sqrt(q) * z, dtype=torch.float64)).item()

    places = [-0.777 / sqrt(q), 1.2345 / sqrt(q)]
    expected, _ = quad(lambda z: at(z) ** 2 * exp(-z * z / 2) / sqrt(2 * pi), -12, 12, points=places, limit=200)
    assert V(shifted, q) == pytest.approx(expected, rel=1e-8)
    expected, _ = quad(lambda z: at(z) * exp(-z * z / 2) / sqrt(2 * pi), -12, 12, points=places, limit=200)
    assert mean(shifted, q) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(
    "phi", [nn.Tanh(), nn.ReLU(), nn.Sigmoid(), nn.Hardtanh(), torch.sign], ids=lambda phi: type(phi).__name__
)
def test_the_slope_of_v(phi: Callable[[Tensor], Tensor]) -> None:
    for q in (0.01, 1.0, 30.0):
        step = 1e-4 * q
        assert V_slope(phi, q) == pytest.approx((V(phi, q + step) - V(phi, q - step)) / (2 * step), rel=1e-6, abs=1e-9)


def test_the_fourth_moment_of_the_slope() -> None:
    assert slope_moment(nn.LeakyReLU(0.2), 3.0, 4) == pytest.approx((1 + 0.2**4) / 2)


@pytest.mark.parametrize("c", [-1.0, -0.6, 0.0, 0.3, 0.97, 1 - 1e-9, 1.0])
def test_pairs_in_closed_form(c: float) -> None:
    """ReLU: Cho & Saul 2009; erf: Williams 1997."""
    qa, qb = 1.7, 0.4
    angle = torch.acos(torch.tensor(c, dtype=torch.float64)).item()
    values, slopes = pair(nn.ReLU(), qa, qb, c)
    assert values == pytest.approx(sqrt(qa * qb) * (sqrt(1 - c * c) + c * (pi - angle)) / (2 * pi), abs=1e-13)
    assert slopes == pytest.approx((pi - angle) / (2 * pi), abs=1e-11)
    product = c * sqrt(qa * qb)
    values, slopes = pair(torch.erf, qa, qb, c)
    assert values == pytest.approx(2 / pi * asin(2 * product / sqrt((1 + 2 * qa) * (1 + 2 * qb))), abs=1e-11)
    assert slopes == pytest.approx(4 / (pi * sqrt((1 + 2 * qa) * (1 + 2 * qb) - 4 * product**2)), abs=1e-11)


def test_pairs_of_a_kinked_activation() -> None:
    """Against scipy in two dimensions, its panels cut at the kinks."""
    qa, qb, c = 2.0, 0.7, 0.6

    def integrand(v: float, u: float) -> float:
        weight = exp(-(u * u - 2 * c * u * v + v * v) / (2 * (1 - c * c))) / (2 * pi * sqrt(1 - c * c))
        return min(1, max(-1, sqrt(qa) * u)) * min(1, max(-1, sqrt(qb) * v)) * weight

    cuts = [[-9.0, -1 / sqrt(q), 1 / sqrt(q), 9.0] for q in (qa, qb)]
    expected = sum(
        dblquad(integrand, cuts[0][i], cuts[0][i + 1], cuts[1][j], cuts[1][j + 1], epsabs=1e-10)[0]
        for i in range(3)
        for j in range(3)
    )
    assert pair(nn.Hardtanh(), qa, qb, c)[0] == pytest.approx(expected, abs=1e-8)
