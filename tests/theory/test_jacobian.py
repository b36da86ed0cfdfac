"""Published spreads of the Jacobian's spectrum, and that of drawn matrices."""

import pytest
import torch
from torch import nn

from gradpath.theory.jacobian import jacobian_moments

DEPTH = 5
PUBLISHED = [
    (nn.Identity(), 1.0, "gaussian", DEPTH),
    (nn.Identity(), 1.0, "orthogonal", 0),
    (nn.ReLU(), 2.0, "gaussian", 2 * DEPTH),
    (nn.ReLU(), 2.0, "orthogonal", DEPTH),
]


@pytest.mark.parametrize(("phi", "sigma_w2", "weights", "variance"), PUBLISHED)
def test_published_spreads(phi: nn.Module, sigma_w2: float, weights: str, variance: float) -> None:
    found = jacobian_moments(phi, 1.0, sigma_w2, DEPTH, weights)
    assert (found.mean, found.relative_variance) == pytest.approx((1.0, variance), abs=1e-12)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_a_drawn_jacobian(weights: str) -> None:
    """tanh at its fixed point q, width 400: D_L W_L ... D_1 W_1."""
    torch.manual_seed(0)
    n, q, sigma_w2, depth = 400, 0.8, 1.7, 3
    found = []
    for _ in range(4):
        jacobian = torch.eye(n, dtype=torch.float64)
        for _ in range(depth):
            weight = torch.randn(n, n, dtype=torch.float64) / n**0.5
            if weights == "orthogonal":
                nn.init.orthogonal_(weight)
            slopes = 1 - torch.tanh(q**0.5 * torch.randn(n, 1, dtype=torch.float64)) ** 2
            jacobian = slopes * (sigma_w2**0.5 * weight @ jacobian)
        eigenvalues = torch.linalg.svdvals(jacobian) ** 2
        found.append([eigenvalues.mean(), eigenvalues.var() / eigenvalues.mean() ** 2])
    expected = jacobian_moments(nn.Tanh(), q, sigma_w2, depth, weights)
    mean, variance = torch.tensor(found).mean(0).tolist()
    assert mean == pytest.approx(expected.mean, rel=0.1)
    assert variance == pytest.approx(expected.relative_variance, rel=0.1)


def test_wrong_input() -> None:
    with pytest.raises(ValueError, match="gaussian or orthogonal"):
        jacobian_moments(nn.ReLU(), 1.0, 1.0, 3, "uniform")
    with pytest.raises(ValueError, match="flat"):
        jacobian_moments(lambda h: h * 0, 1.0, 1.0, 3, "gaussian")
