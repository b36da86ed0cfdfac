"""The plane of sigma_w^2 and sigma_b^2: order, chaos, the edge between them (Poole et al. 2016, Schoenholz et al. 2016)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from math import inf, nan, sqrt

import numpy as np
from torch import nn

from gradpath.config.targets import activation_named
from gradpath.model.initialization import resolve_gain
from gradpath.studies.parallel import in_parallel
from gradpath.theory.mean_field import mean_field
from gradpath.theory.quadrature import Activation, Array, in_float64
from gradpath.theory.scales import moments_of

COLUMNS, ROWS = 80, 41
LARGEST_SIGMA_B2 = 0.3
# Ranges of sigma_w^2. The wide one, in equal ratios, is for activations that are still ordered at the end of the near one.
NEAR, WIDE = (0.02, 4.0), (0.1, 400.0)
# The width of the hidden layers for which initialisations are marked.
WIDTH = 256
# If chi_1 differs by more than this at almost the same sigma_w^2, the length map has jumped to another fixed point.
JUMP = 0.01


@dataclass(frozen=True)
class Plane:
    """Theory's values over the plane.

    sigma_w2: (W,), ascending.
    sigma_b2: (B,), ascending.
    chi_1: (B, W), growth of |delta|^2 per layer.
    xi_c: (B, W), in layers; inf on the edge, NaN where q* = inf.
    edge: (B,), the smallest sigma_w^2 with chi_1 = 1; NaN if chi_1 does not reach 1 in the range, or jumps past it.
    """

    sigma_w2: Array
    sigma_b2: Array
    chi_1: Array
    xi_c: Array
    edge: Array


def plane(activation: str, columns: int = COLUMNS, rows: int = ROWS) -> Plane:
    """Computes `columns` x `rows` points of the plane, in as many processes as there are cores.

    Raises:
        ConfigError: there is no activation of that name.
    """
    phi = named(activation)
    if mean_field(phi, NEAR[1], LARGEST_SIGMA_B2).chi_1 > 1:
        sigma_w2 = np.linspace(*NEAR, columns)
    else:
        sigma_w2 = np.geomspace(*WIDE, columns)
    # Points are closer together near 0, where the edge bends.
    sigma_b2 = LARGEST_SIGMA_B2 * np.linspace(0, 1, rows) ** 1.5
    jobs = {str(i): (activation, sigma_w2.tolist(), float(s)) for i, s in enumerate(sigma_b2)}
    found = in_parallel(row, jobs)
    chi_1, xi_c, edge = (np.array(part) for part in zip(*(found[name] for name in jobs), strict=True))
    return Plane(sigma_w2, sigma_b2, chi_1, xi_c, edge)


def row(activation: str, sigma_w2: Sequence[float], sigma_b2: float) -> tuple[list[float], list[float], float]:
    """One row of `Plane`: chi_1 and xi_c at every sigma_w^2, and the edge."""
    phi = named(activation)
    fields = [mean_field(phi, s, sigma_b2) for s in sigma_w2]
    crossings = (a for a, b in pairwise(fields) if a.chi_1 < 1 <= b.chi_1)
    below = next(crossings, None)
    edge = nan
    if below is not None:
        edge = edge_of_chaos(phi, sigma_b2, below.sigma_w2, min(s for s in sigma_w2 if s > below.sigma_w2))
    return [field.chi_1 for field in fields], [field.xi_c for field in fields], edge


def edge_of_chaos(activation: Activation, sigma_b2: float, low: float, high: float) -> float:
    """The sigma_w^2 between `low` (ordered) and `high` (chaotic) with chi_1 = 1, by bisection to a relative error of 1e-6.

    NaN if chi_1 jumps past 1. GELU's length map, for example, loses its stable fixed point before chi_1 reaches 1.
    """
    chi_low, chi_high = 0.0, inf
    while high - low > 1e-6 * high:
        middle = (low + high) / 2
        chi = mean_field(activation, middle, sigma_b2).chi_1
        if chi < 1:
            low, chi_low = middle, chi
        else:
            high, chi_high = middle, chi
    return nan if chi_high - chi_low > JUMP else (low + high) / 2


def standard_initialisations(activation: str, width: int = WIDTH) -> dict[str, tuple[float, float]]:
    """Name -> (sigma_w^2, sigma_b^2) between hidden layers of equal `width`. Schemes with equal values share an entry.

    Raises:
        ConfigError: there is no activation of that name.
    """
    phi = named(activation)
    gain = resolve_gain("auto", phi)
    schemes = [
        (f"PyTorch's default, width {width}", "pytorch", 1.0),
        ("LeCun", "lecun_normal", 1.0),
        ("Xavier, gain 1", "xavier_normal", 1.0),
        (r"He, gain $\sqrt{2}$", "he_normal", sqrt(2)),
        (f"Xavier and He, this activation's gain {gain:.3g}", "xavier_normal", gain),
    ]
    places: dict[tuple[float, float], list[str]] = {}
    for label, init, factor in schemes:
        sigma_w2, sigma_b2 = moments_of(init, width, width, gain=factor)
        places.setdefault((round(sigma_w2, 6), round(sigma_b2, 6)), []).append(label)
    return {"\n".join(labels): place for place, labels in places.items()}


@cache
def named(activation: str) -> nn.Module:
    """The activation, in float64. There is one copy per process, so that its kinks are found only once.

    Raises:
        ConfigError: there is no activation of that name.
    """
    return in_float64(activation_named(activation))
