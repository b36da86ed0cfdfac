"""A batch on its way through BatchNorm: how alike its samples are decides how fast gradients grow.

A unit's pre-activations over the batch are Gaussian with a covariance that travels from layer to layer (Yang et al. 2019).
Theory of large batches needs its trace only. But real inputs form clusters, and 256 images may be worth 28: the variance
that a unit divides by then fluctuates from unit to unit, and the unit's own direction is a noticeable part of the gradient,
which BatchNorm takes out. Both are kept here, to first order in sum lambda^2 / (sum lambda)^2, lambda the covariance's
eigenvalues.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from gradpath.theory.quadrature import LIMIT, NODES, Activation, Array, density, derivatives, gaussian, panels

# Terms of the expansion in Hermite polynomials; similarities of distinct samples to this power are small.
TERMS = 40
STRIDE = 0.5
# Nodes of the integral over the units' means.
UNITS = 16


@dataclass(frozen=True)
class _Layer:
    """q: mean square of h. sigma_w2: of its weights. shrink: E 1 / s^2, s what BatchNorm divides by.

    (B, B) each: normal, covariance of what BatchNorm gives; slopes, E phi'(u_i) phi'(u_j); turned, of BatchNorm before the
    activation, E u_i phi'(u_i) u_j phi'(u_j).
    """

    q: float
    sigma_w2: float
    shrink: float
    normal: Array
    slopes: Array
    turned: Array | None


def through_batch_norm(
    activation: Activation, layers: Sequence[tuple[float, float]], gram: Array, placement: str
) -> tuple[list[float], list[float]]:
    """q and log sum_i |delta_i|^2 of every hidden layer, the last one's 0, in the limit of infinite width.

    Args:
        layers: (sigma_w^2, sigma_b^2) in order of depth.
        gram: (B, B), x_i x_j / n_0 of the inputs.
        placement: of BatchNorm, "before" or "after" the activation.

    Raises:
        ValueError: what is to be normalised does not vary: weights of zero, a constant activation.
    """
    path: list[_Layer] = []
    for sigma_w2, sigma_b2 in layers:
        if not sigma_w2 > 0:
            raise ValueError("through_batch_norm: weights of zero leave nothing to normalise")
        covariance = sigma_w2 * gram + sigma_b2
        q = float(np.trace(covariance)) / len(gram)
        if placement == "before":
            shrink, normal = _normalised(_centred(covariance))
            values, slopes, turned = _duals(activation, normal)
            gram = values
            path.append(_Layer(q, sigma_w2, shrink, normal, slopes, turned))
        else:
            values, slopes, _ = _duals(activation, covariance)
            shrink, gram = _normalised(_centred(values))
            shrink *= _of_units(activation, covariance)
            path.append(_Layer(q, sigma_w2, shrink, gram, slopes, None))
    return [layer.q for layer in path], _backward(path)


def _backward(path: Sequence[_Layer]) -> list[float]:
    """log of the trace of the gradients' covariance at h, from independent gradients above the last layer."""
    batch = len(path[0].normal)
    gradient, log_trace, found = np.eye(batch) / batch, 0.0, []
    for layer in reversed(path):
        if layer.turned is None:
            passed = layer.slopes * (layer.shrink * _projected(_centred(gradient), layer.normal, None))
        else:
            removed = float((gradient * layer.turned).sum()) / batch
            passed = layer.shrink * _projected(_centred(gradient * layer.slopes), layer.normal, removed)
        trace = float(np.trace(passed))
        found.append(log_trace + np.log(trace))
        # Through W on its way to the layer below.
        gradient, log_trace = passed / trace, found[-1] + np.log(layer.sigma_w2)
    return [value - found[0] for value in reversed(found)]


def _of_units(activation: Activation, covariance: Array) -> float:
    """E (D_m / Var_m) / (E D_m / E Var_m) over units of mean m over the batch.

    The units that BatchNorm enlarges most are not those of the largest slopes.
    """
    offset = float(covariance.mean())
    spread = float(np.trace(covariance)) / len(covariance) - offset
    if offset < 1e-6 * spread or not spread > 0:
        return 1.0
    z, weights = np.polynomial.hermite_e.hermegauss(UNITS)
    found = []
    for mean in np.sqrt(offset) * z:
        h, w = gaussian(activation, spread, float(mean))
        values, slopes = derivatives(activation, h, 1)
        found.append([float((w * f).sum()) for f in (slopes**2, values**2, values)])
    slopes2, squares, means = np.array(found).T
    variances, weights = np.maximum(squares - means**2, 1e-300), weights / weights.sum()
    return float((weights @ (slopes2 / variances)) / ((weights @ slopes2) / (weights @ variances)))


def _normalised(covariance: Array) -> tuple[float, Array]:
    """E 1 / s^2, and the covariance of h / s, where s^2 is h's own variance over the batch."""
    batch = len(covariance)
    variance = float(np.trace(covariance)) / batch
    if not variance > 0:
        raise ValueError("through_batch_norm: a layer has nothing to normalise")
    similar = covariance / variance
    share = float((similar**2).sum()) / batch**2
    return (1 + 2 * share) / variance, similar * (1 + 2 * share) - 2 * similar @ similar / batch


def _projected(gradient: Array, normal: Array, removed: float | None) -> Array:
    """The covariance once BatchNorm has taken out each unit's own direction; `removed`: how much of the trace that is."""
    batch = len(gradient)
    along = float((gradient * normal).sum()) / batch
    left = gradient - (normal @ gradient + gradient @ normal) / batch + normal * along / batch
    rest = float(np.trace(gradient)) - (along if removed is None else removed)
    scaled: Array = left * (rest / float(np.trace(left)))
    return scaled


def _centred(matrix: Array) -> Array:
    """Without the mean over the batch, of rows and columns."""
    columns = matrix - matrix.mean(0)
    centred: Array = columns - columns.mean(1)[:, None]
    return centred


def _duals(activation: Activation, covariance: Array) -> tuple[Array, Array, Array]:
    """E f(u_i) f(u_j) of phi, phi' and u phi' for u ~ N(0, covariance), by Mehler's formula; exact on the diagonal."""
    variances = np.diag(covariance).clip(1e-12)
    root = np.sqrt(variances)
    similar = (covariance / np.outer(root, root)).clip(-1, 1)
    z, weights, polynomials = _hermite()
    u = torch.from_numpy(root[:, None] * z)
    values, slopes = (part.numpy() for part in derivatives(activation, u, 1))
    functions = [values, slopes, u.numpy() * slopes]
    coefficients = [(function * weights) @ polynomials.T for function in functions]
    duals, power = [np.zeros_like(similar) for _ in functions], np.ones_like(similar)
    for n in range(TERMS):
        for dual, coefficient in zip(duals, coefficients, strict=True):
            dual += np.outer(coefficient[:, n], coefficient[:, n]) * power
        power = power * similar
    for dual, function in zip(duals, functions, strict=True):
        np.fill_diagonal(dual, function**2 @ weights)
    return duals[0], duals[1], duals[2]


@cache
def _hermite() -> tuple[Array, Array, Array]:
    """Nodes, weights for E f(z), and the normalised Hermite polynomials there, (TERMS, nodes)."""
    z, w = panels(np.arange(-LIMIT / 2, LIMIT / 2 + STRIDE, STRIDE), NODES)
    rows = [np.ones_like(z), z]
    for n in range(1, TERMS - 1):
        rows.append((z * rows[n] - np.sqrt(n) * rows[n - 1]) / np.sqrt(n + 1))
    return z, w * density(z), np.array(rows)
