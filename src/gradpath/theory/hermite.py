"""Expectations over pairs of Gaussians by Mehler's formula, cheap enough for thousands of pairs or layers.

E f(u) g(v) = sum_n a_n b_n c^n for u, v ~ N(0, 1) of correlation c, with a_n, b_n the coefficients of f and g in normalised
Hermite polynomials. TERMS terms give three digits; `moments.pair` gives twelve.
"""

from functools import cache

import numpy as np

from gradpath.theory.quadrature import LIMIT, NODES, Array, density, panels

TERMS = 40
STRIDE = 0.5


@cache
def nodes() -> tuple[Array, Array, Array]:
    """Nodes z, weights for E f(z), and the normalised Hermite polynomials at the nodes, (TERMS, nodes)."""
    z, w = panels(np.arange(-LIMIT / 2, LIMIT / 2 + STRIDE, STRIDE), NODES)
    rows = [np.ones_like(z), z]
    for n in range(1, TERMS - 1):
        rows.append((z * rows[n] - np.sqrt(n) * rows[n - 1]) / np.sqrt(n + 1))
    return z, w * density(z), np.array(rows)


def coefficients(f: Array) -> Array:
    """a_n = E f(z) He_n(z) / sqrt(n!) for functions given at the nodes, (..., nodes) -> (..., TERMS)."""
    _, weights, polynomials = nodes()
    found: Array = (f * weights) @ polynomials.T
    return found


def product(f: Array, g: Array, c: float) -> float:
    """E f(u) g(v) for functions given at the nodes; exact at c = 1.

    The rest of the series is assumed to shrink like its term of n = 2 TERMS, which keeps three digits for ReLU at any c.
    """
    weights = nodes()[1]
    a, b = coefficients(f), coefficients(g)
    rest = float((f * g) @ weights - a @ b)
    return float((a * b) @ c ** np.arange(TERMS)) + rest * c ** (2 * TERMS)
