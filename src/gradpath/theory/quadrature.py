"""Expectations of functions of an activation over a Gaussian; the activation may have kinks."""

from collections.abc import Callable
from contextlib import nullcontext, suppress
from copy import deepcopy
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

Activation = Callable[[Tensor], Tensor]
Array = npt.NDArray[np.float64]

# Integrals run over [-LIMIT, LIMIT]; the weight of the Gaussian outside is below 4e-33.
LIMIT = 12.0
# Ends of panels: Z_BREAKS in units of z, where the Gaussian bends; H_BREAKS in units of h = sqrt(q) z, where activations do.
Z_BREAKS = np.array([-LIMIT, -9, -6, -4, -2, -1, 0, 1, 2, 4, 6, 9, LIMIT])
H_BREAKS = np.concatenate([-(0.5 * 2.0 ** np.arange(11))[::-1], [0.0], 0.5 * 2.0 ** np.arange(11)])
# Gauss-Legendre nodes per panel, in one dimension and along each of two.
NODES, NODES_2D = 24, 8
# Kinks are searched up to here, which is 12 standard deviations at q = 1800.
REACH = 512.0
# A smaller jump of phi, phi' or phi'' does not count as one.
SMALLEST_JUMP = 1e-6


def in_float64(activation: nn.Module) -> nn.Module:
    """A copy for the integrals. Random slopes (RReLU) are replaced by their mean, so torch's generator is not used."""
    return deepcopy(activation).double().cpu().eval()


def gaussian(activation: Activation, q: float, mean: float = 0.0) -> tuple[Tensor, Tensor]:
    """Points h and weights w of a quadrature: E f(h) = sum w f(h) for h ~ N(mean, q), with f made of `activation`.

    The points are those of Gauss-Legendre panels that end at the activation's kinks. Gauss-Hermite is not accurate enough:
    with 64 nodes it errs by 1e-2 for tanh's derivative at q = 10, and an odd rule puts the whole weight of one node on a
    kink.
    """
    scale = q**0.5
    breaks = np.concatenate([Z_BREAKS, (H_BREAKS - mean) / scale, (np.array(kinks(activation)) - mean) / scale])
    z, w = panels(np.unique(breaks.clip(-LIMIT, LIMIT)), NODES)
    return torch.from_numpy(mean + scale * z), torch.from_numpy(w * density(z))


def panels(breaks: Array, nodes: int) -> tuple[Array, Array]:
    """Gauss-Legendre nodes and weights between consecutive `breaks`, sorted along the last axis, (..., (B - 1) * nodes)."""
    x, w = _legendre(nodes)
    half = np.diff(breaks)[..., None] / 2
    middle = breaks[..., :-1, None] + half
    shape = (*breaks.shape[:-1], -1)
    return (middle + half * x).reshape(shape), (half * w).reshape(shape)


def density(z: Array) -> Array:
    """The density of N(0, 1)."""
    weights: Array = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return weights


def slope(activation: Activation, h: Tensor) -> Tensor:
    """phi'(h) by autograd; zeros if phi is constant."""
    return derivatives(activation, h, 1)[1]


@cache
def _legendre(nodes: int) -> tuple[Array, Array]:
    x, w = np.polynomial.legendre.leggauss(nodes)
    return x, w


@lru_cache(maxsize=64)
def kinks(activation: Activation) -> tuple[float, ...]:
    """Where phi, phi' or phi'' jumps within [-REACH, REACH], in ascending order; found by bisection to 1e-12 of |h|.

    The result is cached for the latest activations, because every quadrature needs it.
    """
    # The grid is irregular, so that a kink at a round number falls between two points.
    near = np.arange(-16, 16, 0.05) + 0.0123
    far = np.geomspace(16.02, REACH, 200)
    grid = np.concatenate([-far[::-1], near, far])
    low, high = torch.from_numpy(grid[:-1]), torch.from_numpy(grid[1:])
    below, above = derivatives(activation, low, 2), derivatives(activation, high, 2)
    found: list[Tensor] = []
    for order in range(3):
        a, b, at_a, at_b = low, high, below[order], above[order]
        for _ in range(48):
            change = (at_b - at_a).abs()
            # A change that is not finite is a pole, which is followed too.
            suspicious = ~(change <= SMALLEST_JUMP)
            a, b, at_a, at_b = a[suspicious], b[suspicious], at_a[suspicious], at_b[suspicious]
            if not len(a):
                break
            middle = (a + b) / 2
            at_middle = derivatives(activation, middle, order)[order]
            right = (at_b - at_middle).abs() > (at_middle - at_a).abs()
            a, at_a = torch.where(right, middle, a), torch.where(right, at_middle, at_a)
            b, at_b = torch.where(right, b, middle), torch.where(right, at_b, at_middle)
        found.append((a + b) / 2)
    places = torch.cat(found).sort().values.tolist()
    apart = [place for i, place in enumerate(places) if i == 0 or place - places[i - 1] > 1e-9 * max(1.0, abs(place))]
    return tuple(apart)


def derivatives(activation: Activation, h: Tensor, order: int) -> list[Tensor]:
    """phi and its derivatives up to `order`, each of h's shape; zeros for those that autograd cannot compute."""
    point = h.detach().requires_grad_(order > 0)
    with torch.enable_grad():
        values = [activation(point)]
        for k in range(order):
            total = values[-1].sum()
            gradient = None
            if total.requires_grad:
                # Of Hardsigmoid torch has no second derivative. A first one that is missing is an error.
                with suppress(RuntimeError) if k else nullcontext():
                    (gradient,) = torch.autograd.grad(total, point, create_graph=k + 1 < order, allow_unused=True)
            values.append(torch.zeros_like(h) if gradient is None else gradient)
    return [value.detach() for value in values]
