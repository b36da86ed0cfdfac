"""Claims about the maps of mean-field theory, without a network."""

from collections.abc import Callable
from functools import partial
from math import nan, pi

import numpy as np

from gradpath.config.targets import activation_named
from gradpath.studies.papers.claim import Check, Claim
from gradpath.theory.mean_field import correlation_map, mean_field

# Pairs (sigma_w^2, sigma_b^2) at which tanh is critical.
CRITICAL_TANH = ((1.0, 0.0), (1.4242, 0.01), (1.7008, 0.04), (1.7610, 0.05), (1.9861, 0.1))
# The layers from which a sequence is extrapolated to its limit.
FIBONACCI = [2, 3, 5, 8, 13, 21, 34, 55, 89]


def edge_of_chaos() -> Claim:
    """tanh is critical, chi_1 = 1, on a line in the plane of sigma_w^2 and sigma_b^2 (Schoenholz et al. 2016, fig. 1)."""
    checks = []
    for sigma_w2, sigma_b2 in CRITICAL_TANH:
        found = _root(partial(_excess, sigma_b2), 0.5, 4.0)
        checks.append(Check(f"sigma_w^2, sigma_b^2={sigma_b2}", sigma_w2, found, 1e-3))
    checks.append(Check("q* at (1.761, 0.05)", 0.5701, mean_field("tanh", 1.761, 0.05).q_star, 1e-3))
    return Claim(
        1, "Schoenholz 2016", "tanh is critical, chi_1 = 1, on one line of the (sigma_w^2, sigma_b^2) plane", checks
    )


def correlation_collapse() -> Claim:
    """For ReLU at sigma_w^2 = 2, 1 - c_l ~ 9 pi^2 / (2 l^2) (Cho & Saul 2009; Hayou et al. 2019, prop. 1)."""
    relu, c = activation_named("relu"), [0.0]
    for _ in range(100):
        c.append(correlation_map(relu, 2.0, 0.0, 1.0, 1.0, c[-1])[2])
    known = {1: 1 / pi, 10: 0.871536, 100: 0.996423}
    checks = [Check(f"c_{layer} from c_0 = 0", value, c[layer], 1e-6) for layer, value in known.items()]
    limit = 9 * pi**2 / 2
    checks.append(Check("l^2 (1 - c_l), l to infinity", limit, _inverse_square(np.array(c)), 1e-6, relative=True))
    return Claim(12, "Hayou 2019", "ReLU makes any two inputs alike with depth, as 1 / l^2", checks)


def _inverse_square(c: np.typing.NDArray[np.float64]) -> float:
    """lim l^2 (1 - c_l) of a sequence c, (layers + 1,); NaN if c reaches 1.

    From layer to layer, 1 / sqrt(1 - c) grows by a step that tends to 1 / sqrt(lim). The step is a power series in
    s = sqrt(1 - c), so a polynomial through the layers of FIBONACCI extrapolates it to s = 0.
    """
    if c.max() >= 1:
        return nan
    s = np.sqrt(1 - c)
    steps = 1 / s[1:] - 1 / s[:-1]
    coefficients = np.linalg.solve(np.vander(s[FIBONACCI], increasing=True), steps[FIBONACCI])
    return float(coefficients[0] ** -2)


def _excess(sigma_b2: float, sigma_w2: float) -> float:
    return mean_field("tanh", sigma_w2, sigma_b2).chi_1 - 1


def _root(rising: Callable[[float], float], low: float, high: float) -> float:
    """The root of a rising function between `low` and `high`, by bisection to 1e-5."""
    while high - low > 1e-5:
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2
