"""Second moments in a layer of random weights, for one input and for a pair, by quadrature.

Notation: h = sqrt(q) z, z ~ N(0, 1): V(q) = E phi(h)^2, D(q) = E phi'(h)^2.
"""

import numpy as np
import torch

from gradpath.theory.quadrature import (
    H_BREAKS,
    LIMIT,
    NODES_2D,
    Z_BREAKS,
    Activation,
    Array,
    density,
    derivatives,
    gaussian,
    kinks,
    panels,
    slope,
)

# Replaces q = 0: if phi has a kink at 0, no derivative there would be right.
TINY = 1e-30


def V(activation: Activation, q: float) -> float:  # noqa: N802 - the field's symbol
    """E phi(sqrt(q) z)^2, the forward second moment (Poole et al. 2016, eq. 3)."""
    h, w = gaussian(activation, max(q, TINY))
    with torch.no_grad():
        return float((w * activation(h) ** 2).sum())


def D(activation: Activation, q: float) -> float:  # noqa: N802 - the field's symbol
    """E phi'(sqrt(q) z)^2, the backward second moment (Schoenholz et al. 2016, eq. 5), with phi' from autograd."""
    return slope_moment(activation, q, 2)


def both(activation: Activation, q: float) -> tuple[float, float]:
    """V(q) and D(q), from one evaluation of phi."""
    h, w = gaussian(activation, max(q, TINY))
    values, slopes = derivatives(activation, h, 1)
    return float((w * values**2).sum()), float((w * slopes**2).sum())


def slope_moment(activation: Activation, q: float, power: int) -> float:
    """E phi'(sqrt(q) z)^power."""
    h, w = gaussian(activation, max(q, TINY))
    return float((w * slope(activation, h) ** power).sum())


def mean(activation: Activation, q: float) -> float:
    """E phi(sqrt(q) z)."""
    h, w = gaussian(activation, max(q, TINY))
    with torch.no_grad():
        return float((w * activation(h)).sum())


def V_slope(activation: Activation, q: float) -> float:  # noqa: N802 - the field's symbol
    """dV/dq = E phi(h)^2 (z^2 - 1) / (2q). It holds for kinks and jumps too, because the Gaussian is differentiated."""
    q = max(q, TINY)
    h, w = gaussian(activation, q)
    with torch.no_grad():
        # phi(0)^2 adds nothing to the integral; without it a small q keeps its digits.
        squares = activation(h) ** 2 - activation(torch.zeros_like(h[:1])) ** 2
    return float((w * squares * (h**2 / q - 1)).sum() / (2 * q))


def pair(activation: Activation, qa: float, qb: float, c: float) -> tuple[float, float]:
    """E phi(u1) phi(u2) and E phi'(u1) phi'(u2) for Gaussian u1, u2 of variances qa, qb and correlation c.

    The source is Poole et al. 2016, eq. 5. In the coordinates (u1 +- u2) the panels can follow the kinks of both inputs for
    any c. The correlation map is therefore as exact near c = 1, where it decides between order and chaos, as elsewhere.
    """
    sa, sb = max(qa, TINY) ** 0.5, max(qb, TINY) ** 0.5
    wide, narrow = ((1 + abs(c)) / 2) ** 0.5, ((1 - abs(c)) / 2) ** 0.5
    # u1 = sa (wide t + narrow s), u2 = sign sb (wide t - narrow s).
    sign = 1.0 if c >= 0 else -1.0
    places = np.array(kinks(activation))
    bends = np.concatenate([H_BREAKS, places])
    s, weight_s = np.zeros(1), np.ones(1)
    if narrow > 0:
        crossings = (places[:, None] / sa - sign * places[None, :] / sb).ravel() / (2 * narrow)
        outer = np.concatenate([Z_BREAKS, H_BREAKS / (2 * narrow * sa), H_BREAKS / (2 * narrow * sb), crossings])
        s, weight_s = panels(np.unique(outer.clip(-LIMIT, LIMIT)), NODES_2D)
        weight_s = weight_s * density(s)
    t, weight_t = _along(s, narrow, bends / (wide * sa), sign * bends / (wide * sb), wide)
    weight = torch.from_numpy(weight_s[:, None] * weight_t * density(t)).flatten()
    shift = (narrow * s)[:, None]
    u1 = torch.from_numpy(sa * (wide * t + shift)).flatten()
    u2 = torch.from_numpy(sign * sb * (wide * t - shift)).flatten()
    with torch.no_grad():
        values = float((weight * activation(u1) * activation(u2)).sum())
    return values, float((weight * slope(activation, u1) * slope(activation, u2)).sum())


def _along(s: Array, narrow: float, first: Array, second: Array, wide: float) -> tuple[Array, Array]:
    """Nodes and weights along t for every s, (S, T). Panels end where u1 or u2 meets a bend of phi."""
    shift = (narrow / wide * s)[:, None]
    breaks = np.concatenate([np.broadcast_to(Z_BREAKS, (len(s), len(Z_BREAKS))), first - shift, second + shift], axis=1)
    breaks = np.sort(breaks.clip(-LIMIT, LIMIT), axis=1)
    # A bend that lies outside the range for every s makes no panel.
    inside = (np.diff(breaks, axis=1) > 0).any(0)
    breaks = np.concatenate([breaks[:, :1], breaks[:, 1:][:, inside]], axis=1)
    return panels(breaks, NODES_2D)
