"""How far one network of finite width strays from theory: its gradient takes a random step at every layer.

|delta|^2 of a single input is a product of independent factors, one per layer. For a layer of n units the relative variance
of its factor is (3 kappa - 1) / n with kappa = E phi'^4 / (E phi'^2)^2: 5 / n for ReLU (Hanin & Rolnick 2018; Hanin & Nica
2019). Two more effects are computed here to first order in 1 / n: a batch averages over inputs that share the weights but
not all of the noise, and a chance deviation of q at one layer changes the slopes of the layers above.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import numpy as np
import torch

from gradpath.theory.hermite import nodes, product
from gradpath.theory.moments import D, V_slope
from gradpath.theory.quadrature import Activation, Array, derivatives

# Step in log q of the numerical derivative.
STEP = 0.01


@dataclass(frozen=True)
class Site:
    """A layer as a typical pair of inputs sees it.

    q, c: variance and correlation of the activation's input.
    width: units of the layer.
    response: how the layer's q responds to the variance of its inputs, sigma_w^2 V / q.
    resets: a normalisation keeps deviations of q in the layers below from reaching the slopes here.
    divided: where the gradient is divided by the layer's own mean square, "before" or "after" the activation.
    """

    q: float
    c: float
    width: int
    response: float
    resets: bool = False
    divided: str | None = None


def step_covariance(activation: Activation, sites: Sequence[Site], samples: int, alike: float) -> Array:
    """Covariance of the steps of log |delta|^2 between neighbouring hidden layers, (L-1, L-1), the first layer's first.

    Args:
        samples: how many inputs |delta|^2 is averaged over.
        alike: mean square of the cosine between two samples' gradients at the last hidden layer; 1 for a single sample.

    Raises:
        ValueError: the activation is flat.
    """
    found = [_moments(activation, site, samples) for site in sites]
    squares = [alike]
    for moments in found[:0:-1]:
        squares.append(squares[-1] * moments.shared_slope**2)
    steps = len(sites) - 1
    reach, noise = np.zeros((steps, 2 * steps)), np.zeros((2 * steps, 2 * steps))
    for k, (site, moments, square) in enumerate(zip(sites[:-1], found, squares[::-1], strict=False)):
        backward = moments.slopes * (1 + 2 * square) + 2 * (1 - square) * moments.alone - 1
        noise[2 * k : 2 * k + 2, 2 * k : 2 * k + 2] = [
            [backward / site.width, moments.both / site.width],
            [moments.both / site.width, moments.values / site.width],
        ]
        reach[k, 2 * k] = 1
        if site.divided == "after":
            reach[k, 2 * k + 1] = -1
        _spread(reach[:, 2 * k + 1], k, sites, found)
    covariance: Array = reach @ noise @ reach.T
    return covariance


def typical_cosine(gram: Array) -> float:
    """Root mean square cosine between two different samples of a (B, B) Gram matrix; 1 for a single sample."""
    if len(gram) < 2:
        return 1.0
    root = np.sqrt(np.diag(gram).clip(1e-300))
    cosines = (gram / np.outer(root, root))[~np.eye(len(gram), dtype=bool)]
    return float(min(1.0, np.sqrt((cosines**2).mean())))


def _spread(effect: Array, k: int, sites: Sequence[Site], found: Sequence["_Moments"]) -> None:
    """Adds to `effect` how a deviation of layer k's mean square changes the steps above it."""
    deviation = 1.0
    for m in range(k + 1, len(effect)):
        if sites[m].divided == "before":
            effect[m] -= deviation * sites[m].response
        if sites[m].resets:
            return
        deviation *= sites[m].response
        effect[m] += found[m].slope_response * deviation
        deviation *= found[m].value_response


@dataclass(frozen=True)
class _Moments:
    """Moments over a layer's units of averages over the batch, relative to the squares of their means.

    slopes: E phi'_1^2 phi'_2^2.
    values: variance of phi^2.
    both: covariance of phi'^2 and phi^2.
    alone: the part of `slopes` from pairs of a sample with itself.
    shared_slope: E phi'_1 phi'_2.
    slope_response, value_response: d log D / d log q, d log V / d log q.
    """

    slopes: float
    values: float
    both: float
    alone: float
    shared_slope: float
    slope_response: float
    value_response: float


def _moments(activation: Activation, site: Site, samples: int) -> _Moments:
    z = nodes()[0]
    u = torch.from_numpy(site.q**0.5 * z)
    values, slopes = (part.numpy() for part in derivatives(activation, u, 1))
    d, v = product(slopes, slopes, 1.0), product(values, values, 1.0)
    if not d > 0 or not v > 0:
        raise ValueError("step_covariance: the activation is flat")
    square, slope_square = values**2 / v, slopes**2 / d
    alone = 1 / samples

    def averaged(f: Array, g: Array) -> float:
        return (1 - alone) * product(f, g, site.c) + alone * product(f, g, 1.0)

    up, down = (log(D(activation, site.q * (1 + sign * STEP))) for sign in (1, -1))
    return _Moments(
        slopes=averaged(slope_square, slope_square),
        values=averaged(square, square) - 1,
        both=averaged(slope_square, square) - 1,
        alone=alone * product(slope_square, slope_square, 1.0),
        shared_slope=product(slopes, slopes, site.c) / d,
        slope_response=(up - down) / (2 * STEP),
        value_response=V_slope(activation, site.q) * site.q / v,
    )
