"""Mean-field theory of a wide random network: second moments, the length map and the critical weight variance.

Notation: h^l = W^l x^(l-1) + b^l, x^l = phi(h^l), Var W = sigma_w^2 / fan_in, Var b = sigma_b^2, z ~ N(0, 1),
V(q) = E phi(sqrt(q) z)^2, D(q) = E phi'(sqrt(q) z)^2.
"""

from collections.abc import Callable
from functools import cache
from math import log

import numpy as np
import torch
from torch import Tensor

Activation = Callable[[Tensor], Tensor]

# E f(z) over [-LIMIT, LIMIT]; beyond it the Gaussian's weight is below 4e-33.
LIMIT = 12.0
NODES = 200
# A range that holds every sigma_w^2 of use: PyTorch's default is 1/3, sigmoid's critical one about 108.
SIGMA_W2_RANGE = (1e-4, 1e4)


@cache
def gaussian_quadrature() -> tuple[Tensor, Tensor]:
    """Nodes and weights for E f(z): Gauss-Legendre on each side of 0, so that a kink at 0 costs no accuracy.

    Gauss-Hermite would not do: 64 nodes err by 1e-2 for tanh's derivative at q = 10, and an odd rule puts the whole weight
    of one node on a kink.
    """
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    z = np.concatenate([(nodes - 1) * LIMIT / 2, (nodes + 1) * LIMIT / 2])
    w = np.concatenate([weights, weights]) * LIMIT / 2 * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return torch.from_numpy(z), torch.from_numpy(w)


def V(activation: Activation, q: float) -> float:  # noqa: N802 - the field's symbol
    """E phi(sqrt(q) z)^2, the forward second moment (Poole et al. 2016, eq. 3)."""
    z, w = gaussian_quadrature()
    with torch.no_grad():
        return float((w * activation(q**0.5 * z) ** 2).sum())


def D(activation: Activation, q: float) -> float:  # noqa: N802 - the field's symbol
    """E phi'(sqrt(q) z)^2, the backward second moment (Schoenholz et al. 2016, eq. 5); the derivative by autograd."""
    z, w = gaussian_quadrature()
    h = (q**0.5 * z).requires_grad_()
    with torch.enable_grad():
        total = activation(h).sum()
        if not total.requires_grad:  # a constant
            return 0.0
        (slope,) = torch.autograd.grad(total, h)
    return float((w * slope**2).sum())


def length_map(activation: Activation, sigma_w2: float, sigma_b2: float, input_norm: float, depth: int) -> list[float]:
    """q^1 ... q^depth, the variance of the pre-activations of each hidden layer (Poole et al. 2016, eq. 3).

    Args:
        input_norm: |x|^2 / n_0, the mean square of the inputs.
    """
    q = [sigma_w2 * input_norm + sigma_b2]
    while len(q) < depth:
        q.append(sigma_w2 * V(activation, q[-1]) + sigma_b2)
    return q[:depth]


def gradient_growth(activation: Activation, sigma_w2: float, sigma_b2: float, input_norm: float, depth: int) -> float:
    """log E|delta^1|^2 / E|delta^L|^2 of a network of L = `depth` hidden layers: the sum of log sigma_w^2 D(q^l), l < L.

    Off the fixed point, layer by layer (Schoenholz et al. 2016, eq. 8). +-inf where the length map leaves float64's range.
    """
    total = 0.0
    for q in length_map(activation, sigma_w2, sigma_b2, input_norm, depth - 1):
        factor = sigma_w2 * D(activation, q) if q < float("inf") else float("inf")
        if not 0 < factor < float("inf"):
            return -float("inf") if factor == 0 else float("inf")
        total += log(factor)
    return total


def critical_sigma_w2(activation: Activation, sigma_b2: float, input_norm: float, depth: int) -> float:
    """The smallest sigma_w^2 for which `gradient_growth` over `depth` hidden layers is 0, by bisection to 1e-10.

    He's 2 for ReLU at any depth; tends to the edge of chaos with depth where that is stable. A single hidden layer has no
    growth to balance: it gets the value for two.

    Raises:
        ValueError: no sigma_w^2 in SIGMA_W2_RANGE balances the gradient (an activation of slope 0, say).
    """

    def growth(log_sigma_w2: float) -> float:
        return gradient_growth(activation, float(np.exp(log_sigma_w2)), sigma_b2, input_norm, max(depth, 2))

    # The smallest root: scan upwards for the first change of sign, then bisect.
    grid = np.linspace(log(SIGMA_W2_RANGE[0]), log(SIGMA_W2_RANGE[1]), 93)
    low = float(grid[0])
    if growth(low) >= 0:
        raise ValueError("the gradient grows at any initial scale")
    for high in map(float, grid[1:]):
        if growth(high) >= 0:
            break
        low = high
    else:
        raise ValueError("the gradient vanishes at any initial scale")
    while high - low > 1e-10:
        middle = (low + high) / 2
        low, high = (middle, high) if growth(middle) < 0 else (low, middle)
    return float(np.exp((low + high) / 2))
