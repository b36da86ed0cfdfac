"""Mean-field theory of a wide random network: how lengths, correlations and gradients travel from layer to layer.

Notation: h^l = W^l x^(l-1) + b^l, x^l = phi(h^l), Var W = sigma_w^2 / fan_in, Var b = sigma_b^2; chi_1 = sigma_w^2 D(q*).
"""

from dataclasses import dataclass
from math import exp, inf, log
from typing import Literal

import numpy as np

from gradpath import activations
from gradpath.theory.moments import D, V, V_slope, both, pair
from gradpath.theory.quadrature import Activation

Phase = Literal["ordered", "critical", "chaotic"]
# A chi_1 this close to 1 is critical: over a thousand layers |delta|^2 changes by a factor e at most.
CRITICAL = 1e-3
# Schoenholz et al. 2016: a network trains while its depth is below about six depth scales.
TRAINABLE = 6.0
# Outside this range the length map counts as having gone to 0 or to infinity.
SMALLEST_Q, LARGEST_Q = 1e-20, 1e12
# The length map is at its fixed point if it changes q by less than this.
STILL = 1e-13
# The range contains every useful sigma_w^2: PyTorch's default is 1/3, the critical value for sigmoid about 108.
SIGMA_W2_RANGE = (1e-4, 1e4)


@dataclass(frozen=True)
class MeanField:
    """An activation at (sigma_w^2, sigma_b^2), in the limit of infinite width and depth.

    q_star: fixed point of the length map that inputs of mean square 1 reach; 0 or inf if they reach no other.
    chi_1: growth of |delta|^2 per layer, and slope of the correlation map at 1.
    c_star, chi_c_star: stable fixed point of the correlation map, and its slope there.
    xi_q, xi_c, xi_grad: number of layers over which the distance from q*, the distance from c*, and |delta|^2 change by a
        factor e; inf if they do not change. xi_grad is negative if gradients explode.
    phase: ordered, critical or chaotic.
    At q* = inf, quantities without a meaning are NaN.
    """

    sigma_w2: float
    sigma_b2: float
    q_star: float
    chi_1: float
    c_star: float
    chi_c_star: float
    xi_q: float
    xi_c: float
    xi_grad: float
    phase: Phase


def mean_field(activation: str | Activation, sigma_w2: float, sigma_b2: float) -> MeanField:
    """Fixed points, phase and depth scales (Poole et al. 2016, eqs. 3 and 5; Schoenholz et al. 2016, eqs. 5 to 9).

    Args:
        activation: an option of the `activation` group, or any element-wise callable on float64 tensors. Autograd computes
            its derivative; its kinks are found automatically.

    Raises:
        ValueError: sigma_w2 <= 0, or sigma_b2 < 0, or one of them is not finite.
        ConfigError: no option of that name.
    """
    if not 0 < sigma_w2 < inf or not 0 <= sigma_b2 < inf:
        raise ValueError(f"mean_field: sigma_w2={sigma_w2}, sigma_b2={sigma_b2}: must be > 0, and >= 0, and finite")
    phi = activations.activation(activation) if isinstance(activation, str) else activation
    q = fixed_point(phi, sigma_w2, sigma_b2)
    growth = sigma_w2 * D(phi, min(q, LARGEST_Q))
    phase: Phase = "critical" if abs(growth - 1) < CRITICAL else "ordered" if growth < 1 else "chaotic"
    if q == inf:
        nan = float("nan")
        return MeanField(sigma_w2, sigma_b2, q, growth, nan, nan, nan, nan, _scale(growth), phase)
    c, slope_c = (1.0, growth) if growth <= 1 + STILL or q == 0 else _fixed_correlation(phi, sigma_w2, sigma_b2, q)
    slope_q = sigma_w2 * V_slope(phi, q)
    return MeanField(sigma_w2, sigma_b2, q, growth, c, slope_c, _scale(abs(slope_q)), _scale(slope_c), _scale(growth), phase)


def trainable_depth(field: MeanField) -> float:
    """The number of hidden layers up to which a network should train: 6 xi_c (Schoenholz et al. 2016, fig. 5)."""
    return TRAINABLE * field.xi_c


def length_map(activation: Activation, sigma_w2: float, sigma_b2: float, input_norm: float, depth: int) -> list[float]:
    """q^1 ... q^depth, the variance of the pre-activations of each hidden layer (Poole et al. 2016, eq. 3).

    Args:
        input_norm: |x|^2 / n_0, the mean square of the inputs.
    """
    q = [sigma_w2 * input_norm + sigma_b2]
    while len(q) < depth:
        q.append(sigma_w2 * V(activation, q[-1]) + sigma_b2)
    return q[:depth]


def correlation_map(
    activation: Activation, sigma_w2: float, sigma_b2: float, qa: float, qb: float, c: float
) -> tuple[float, float, float]:
    """qa', qb', c' of the next layer (Poole et al. 2016, eq. 5).

    Args:
        qa, qb, c: variances and correlation of the pre-activations of two inputs.
    """
    after_a, after_b = (sigma_w2 * V(activation, q) + sigma_b2 for q in (qa, qb))
    shared = sigma_w2 * pair(activation, qa, qb, c)[0] + sigma_b2
    return after_a, after_b, min(1.0, max(-1.0, shared / (after_a * after_b) ** 0.5))


def fixed_point(activation: Activation, sigma_w2: float, sigma_b2: float) -> float:
    """q*, the fixed point of the length map that inputs of mean square 1 reach; 0 or inf if they reach no other.

    Bisection finds it. Iteration would take for ever near a critical point.
    """

    def gain(log_q: float) -> float:
        """log of q' / q."""
        return log((sigma_w2 * V(activation, exp(log_q)) + sigma_b2) / exp(log_q) or SMALLEST_Q)

    at = log(sigma_w2 + sigma_b2)
    start = gain(at)
    if abs(start) < STILL:
        return exp(at)
    stride = 0.25 if start > 0 else -0.25
    while log(SMALLEST_Q) < at < log(LARGEST_Q):
        # If the map comes to rest without crossing (tanh at sigma_w^2 = 1), its fixed point is the end of the range.
        if gain(at + stride) * start < 0 and abs(gain(at + stride)) > STILL:
            low, high = sorted((at, at + stride))
            rises = gain(low) > 0
            while high - low > 1e-14 * max(1.0, abs(low)):
                middle = (low + high) / 2
                if not low < middle < high:
                    break
                low, high = (middle, high) if (gain(middle) > 0) == rises else (low, middle)
            return exp((low + high) / 2)
        at += stride
    return inf if start > 0 else 0.0


def _fixed_correlation(activation: Activation, sigma_w2: float, sigma_b2: float, q: float) -> tuple[float, float]:
    """c* < 1 of the chaotic phase, and the slope of the correlation map at c*, for q = q*.

    Newton's method starts at c = 0. The map is a power series without negative coefficients and therefore convex, so
    Newton's steps never pass its lower fixed point.
    """
    c = 0.0
    for _ in range(50):
        values, slopes = pair(activation, q, q, c)
        distance, slope_c = (sigma_w2 * values + sigma_b2) / q - c, sigma_w2 * slopes
        if abs(distance) < 1e-14 or slope_c >= 1:
            break
        step = distance / (1 - slope_c)
        c = min(max(c + step, 0.0), 1.0)
        if step < 1e-13:
            break
    return c, slope_c


def _scale(factor: float) -> float:
    """Number of layers after which `factor` per layer has become 1/e; negative if `factor` is above 1."""
    if factor == 0:
        return 0.0
    return inf if abs(factor - 1) < STILL else -1 / log(factor)


def gradient_growth(activation: Activation, sigma_w2: float, sigma_b2: float, input_norm: float, depth: int) -> float:
    """log E|delta^1|^2 / E|delta^L|^2 of a network of L = `depth` hidden layers: the sum of log sigma_w^2 D(q^l), l < L.

    It is computed layer by layer and holds away from the fixed point too (Schoenholz et al. 2016, eq. 8). It is inf if the
    length map explodes, and -inf if phi is flat.
    """
    total, moment = 0.0, input_norm
    for _ in range(depth - 1):
        q = sigma_w2 * moment + sigma_b2
        if not q < LARGEST_Q:
            return inf
        moment, slopes = both(activation, q)
        if slopes == 0:
            return -inf
        total += log(sigma_w2 * slopes)
    return total


def critical_sigma_w2(activation: str | Activation, sigma_b2: float, input_norm: float, depth: int) -> float:
    """The smallest sigma_w^2 for which `gradient_growth` over `depth` hidden layers is 0, by bisection to 1e-10.

    For ReLU it is He's 2 at any depth. With depth it tends to the edge of chaos, if that is stable. A single hidden layer
    has no growth to balance, so it gets the value for two layers.

    Args:
        activation: as in `mean_field`.
        sigma_b2: variance of the biases.
        input_norm: |x|^2 / n_0, the mean square of the inputs.
        depth: number of hidden layers.

    Raises:
        ConfigError: no option of that name.
        ValueError: sigma_b2 or input_norm < 0, or depth < 1, or no sigma_w^2 in SIGMA_W2_RANGE balances the gradient (for
            example, an activation of slope 0).
    """

    if not (sigma_b2 >= 0 and input_norm >= 0 and depth >= 1):
        given = f"sigma_b2={sigma_b2}, input_norm={input_norm}, depth={depth}"
        raise ValueError(f"critical_sigma_w2: {given}: must be >= 0, >= 0, and >= 1")
    phi = activations.activation(activation) if isinstance(activation, str) else activation

    def growth(log_sigma_w2: float) -> float:
        return gradient_growth(phi, float(np.exp(log_sigma_w2)), sigma_b2, input_norm, max(depth, 2))

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
