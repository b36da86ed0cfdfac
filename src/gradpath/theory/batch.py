"""Predicts covariances and gradients of one given batch in a network with BatchNorm.

A unit's pre-activations over the batch are Gaussian with a covariance that changes from layer to layer (Yang et al. 2019).
The theory of large batches needs only its trace. But real inputs form clusters: 256 images may be worth 28. This has two
effects. The variance that BatchNorm divides by fluctuates from unit to unit, and the unit's own direction, which BatchNorm
removes, is a noticeable part of the gradient. Both effects are computed here to first order in
sum lambda^2 / (sum lambda)^2, where lambda are the eigenvalues of the covariance.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from gradpath.theory.fluctuations import Site, typical_cosine
from gradpath.theory.hermite import TERMS, coefficients, nodes
from gradpath.theory.layers import Layer, Norm
from gradpath.theory.quadrature import Activation, Array, derivatives

# UNITS: nodes of the integral over the units' means. OFFSET: these means are neglected below this share of the variance.
UNITS, OFFSET = 12, 0.1


@dataclass(frozen=True)
class _Units:
    """The units that have the same mean over the batch.

    share: their fraction of all units.
    shrink: E 1 / s^2, where s is what BatchNorm divides by.
    normal: (B, B), covariance of BatchNorm's output.
    slopes: (B, B), E phi'(u_i) phi'(u_j).
    turned: (B, B), E u_i phi'(u_i) u_j phi'(u_j); only for BatchNorm before the activation.
    """

    share: float
    shrink: float
    normal: Array
    slopes: Array
    turned: Array | None = None


@dataclass(frozen=True)
class _Layer:
    """One hidden layer. covariance: (B, B), of h over the batch. sigma_w2: sigma_w^2 of the layer's weights."""

    covariance: Array
    sigma_w2: float
    units: Sequence[_Units]


def through_batch_norm(
    activation: Activation, layers: Sequence[tuple[float, float]], gram: Array, placement: str
) -> tuple[list[Array], list[float]]:
    """Covariance of h over the batch, (B, B), and log sum_i |delta_i|^2, both for every hidden layer at infinite width.

    The logarithms are relative to the last hidden layer, whose value is 0.

    Args:
        layers: (sigma_w^2, sigma_b^2) in order of depth.
        gram: (B, B), x_i x_j / n_0 of the inputs.
        placement: whether BatchNorm is "before" or "after" the activation.

    Raises:
        ValueError: the input of BatchNorm does not vary (weights of zero, a constant activation).
    """
    path: list[_Layer] = []
    for sigma_w2, sigma_b2 in layers:
        if not sigma_w2 > 0:
            raise ValueError("through_batch_norm: weights of zero leave nothing to normalise")
        covariance = sigma_w2 * gram + sigma_b2
        if placement == "before":
            shrink, normal = _normalised(_centred(covariance))
            duals = _Duals(activation, normal)
            gram = duals.of(duals.values)
            units = [_Units(1.0, shrink, normal, duals.of(duals.slopes), duals.of(duals.u * duals.slopes))]
        else:
            units = _by_mean(activation, covariance)
            gram = sum((unit.share * unit.normal for unit in units), np.zeros_like(gram))
        path.append(_Layer(covariance, sigma_w2, units))
    return [layer.covariance for layer in path], _backward(path)


def batch_sites(layers: Sequence[Layer], covariances: Sequence[Array], norm: Norm) -> list[Site]:
    """Each layer as a typical pair of samples sees it. covariances: (B, B), of h over the batch, for every layer."""
    sites = []
    for layer, covariance in zip(layers, covariances, strict=True):
        given = _centred(covariance) if norm.placement == "before" else covariance
        q = 1.0 if norm.placement == "before" else float(np.trace(covariance)) / len(covariance)
        sites.append(Site(q, typical_cosine(given), layer.width, 1.0, resets=True))
    return sites


def _backward(path: Sequence[_Layer]) -> list[float]:
    """log of the trace of the gradients' covariance at h; above the last layer the samples' gradients are independent."""
    batch = len(path[0].units[0].normal)
    gradient, log_trace, found = np.eye(batch) / batch, 0.0, []
    for layer in reversed(path):
        passed = sum((unit.share * _through(unit, gradient) for unit in layer.units), np.zeros_like(gradient))
        trace = float(np.trace(passed))
        found.append(log_trace + np.log(trace))
        # W hands the gradient on to the layer below.
        gradient, log_trace = passed / trace, found[-1] + np.log(layer.sigma_w2)
    return [value - found[0] for value in reversed(found)]


def _through(unit: _Units, gradient: Array) -> Array:
    """Covariance of the gradient at h. gradient: its covariance above BatchNorm and the activation."""
    if unit.turned is None:
        after: Array = unit.slopes * (unit.shrink * _projected(_centred(gradient), unit.normal, None))
        return after
    removed = float((gradient * unit.turned).sum()) / len(gradient)
    return unit.shrink * _projected(_centred(gradient * unit.slopes), unit.normal, removed)


def _by_mean(activation: Activation, covariance: Array) -> list[_Units]:
    """BatchNorm after the activation: groups units by their mean over the batch; each divides by its own deviation.

    Given its mean m over the batch, a unit's h is still Gaussian, with mean m r / o and covariance K - r r^T / o. Here r is
    the mean of each row of K and o the mean of all of K.
    """
    rows = covariance.mean(1)
    offset = float(rows.mean())
    if offset < OFFSET * float(np.trace(covariance)) / len(covariance):
        return [_units(activation, covariance, np.zeros_like(rows), 1.0)]
    z, weights = np.polynomial.hermite_e.hermegauss(UNITS)
    within = covariance - np.outer(rows, rows) / offset
    means = np.sqrt(offset) * np.outer(z, rows / offset)
    shares = weights / weights.sum()
    return [
        _units(activation, within, mean, float(share)) for mean, share in zip(means, shares, strict=True) if share > 1e-6
    ]


def _units(activation: Activation, covariance: Array, mean: Array, share: float) -> _Units:
    """The units of one mean.

    Units whose variance over the batch is small by chance also have small slopes. E phi'^2 / s^2 is therefore computed to
    first order in the variance of s^2 and in the covariance of s^2 with phi'^2.
    """
    batch = len(covariance)
    duals = _Duals(activation, covariance, mean)
    slopes, values = duals.of(duals.slopes), _centred(duals.of(duals.values))
    variance, slope = float(np.trace(values)) / batch, float(np.trace(slopes)) / batch
    if not variance > 0 or not slope > 0:
        raise ValueError("through_batch_norm: a layer has nothing to normalise")
    distances = (duals.values - duals.mean(duals.values)[:, None]) ** 2
    spread = duals.mean_covariance(distances, distances) / variance**2
    shared = duals.mean_covariance(duals.slopes**2, distances) / (variance * slope)
    # This form stays bounded for units that few samples activate.
    return _Units(share, (1 + spread) / (1 + shared) / variance, _normalised(values)[1], slopes)


def _normalised(covariance: Array) -> tuple[float, Array]:
    """E 1 / s^2 and the covariance of h / s, where s^2 is the variance of h over the batch."""
    batch = len(covariance)
    variance = float(np.trace(covariance)) / batch
    if not variance > 0:
        raise ValueError("through_batch_norm: a layer has nothing to normalise")
    similar = covariance / variance
    share = float((similar**2).sum()) / batch**2
    return (1 + 2 * share) / variance, similar * (1 + 2 * share) - 2 * similar @ similar / batch


def _projected(gradient: Array, normal: Array, removed: float | None) -> Array:
    """`gradient` after BatchNorm has removed each unit's own direction. removed: the trace that is lost thereby."""
    batch = len(gradient)
    along = float((gradient * normal).sum()) / batch
    left = gradient - (normal @ gradient + gradient @ normal) / batch + normal * along / batch
    rest = float(np.trace(gradient)) - (along if removed is None else removed)
    scaled: Array = left * (rest / float(np.trace(left)))
    return scaled


def _centred(matrix: Array) -> Array:
    """Subtracts the mean over the batch from rows and columns."""
    columns = matrix - matrix.mean(0)
    centred: Array = columns - columns.mean(1)[:, None]
    return centred


class _Duals:
    """E f(u_i) g(u_j) for u ~ N(mean, covariance) by Mehler's formula; exact on the diagonal.

    u: (B, nodes), the points at which f and g are given. values, slopes: phi and phi' at these points.
    """

    def __init__(self, activation: Activation, covariance: Array, mean: Array | float = 0.0) -> None:
        root = np.sqrt(np.diag(covariance).clip(1e-12))
        self.similar = (covariance / np.outer(root, root)).clip(-1, 1)
        z, self.weights, _ = nodes()
        self.u = np.reshape(mean, (-1, 1)) + root[:, None] * z
        self.values, self.slopes = (part.numpy() for part in derivatives(activation, torch.from_numpy(self.u), 1))

    def mean(self, f: Array) -> Array:
        """E f(u_i), (B,)."""
        means: Array = f @ self.weights
        return means

    def of(self, f: Array) -> Array:
        """E f(u_i) f(u_j), (B, B)."""
        dual, power = np.zeros_like(self.similar), np.ones_like(self.similar)
        for coefficient in coefficients(f).T:
            dual += np.outer(coefficient, coefficient) * power
            power = power * self.similar
        np.fill_diagonal(dual, self.mean(f**2))
        return dual

    def mean_covariance(self, f: Array, g: Array) -> float:
        """The covariance of f(u_i) and g(u_j), averaged over all i and j."""
        a, b = coefficients(f), coefficients(g)
        total, power = 0.0, np.ones_like(self.similar)
        for n in range(1, TERMS):
            power = power * self.similar
            # The diagonal is added below, exactly.
            total += float(a[:, n] @ power @ b[:, n] - a[:, n] @ b[:, n])
        return (total + float((self.mean(f * g) - self.mean(f) * self.mean(g)).sum())) / len(f) ** 2
