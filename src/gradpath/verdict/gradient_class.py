"""Reading a profile: does the gradient vanish, explode, or arrive?"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isfinite, pi, sqrt, tan
from typing import Any

import numpy as np

# Limits of |delta| first / last hidden layer: below VANISHING it vanishes, above EXPLODING it explodes.
VANISHING, EXPLODING = 1e-2, 1e2
TOO_FEW = "a class compares two places below the output layer, and the gradient was measured at fewer"
NO_PLACES = (
    "a class compares two places through which all of the gradient passes, and there are not two: several calls of the "
    "model, or its parts, share none; at= names places to compare"
)


@dataclass(frozen=True)
class Reading:
    """How |delta| changes over the hidden layers.

    kind: "vanishing" below a ratio of 1e-2, "exploding" above 1e2, else "healthy"; None with fewer than two hidden layers,
        and if no gradient arrives even at the last one (output weights of zero, a loss of zero).
    ratio: |delta| first / last hidden layer.
    rate_per_layer: the factor of |delta| per layer towards the input, from a straight line through log10 |delta|.
    interval: the 95 % confidence interval of the rate.
    undecided: why there is no kind; None if there is one.
    """

    kind: str | None
    ratio: float | None = None
    rate_per_layer: float | None = None
    interval: tuple[float, float] | None = None
    undecided: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The form in `result.json`."""
        values = asdict(self)
        return {"class": values.pop("kind"), **values}


def undecided(why: str) -> Reading:
    """A reading without a class."""
    return Reading(None, undecided=why)


def read(deltas: Sequence[float]) -> Reading:
    """The reading of |delta| per hidden layer, first layer first."""
    delta = np.array(deltas, dtype=np.float64)
    if len(delta) < 2:
        return undecided(TOO_FEW)
    if not np.isfinite(delta).all():
        return Reading("exploding")
    if delta[-1] == 0:
        return undecided("no gradient arrives even at the last place below the output layer")
    if delta[0] == 0:
        return Reading("vanishing", 0.0)
    ratio = float(delta[0] / delta[-1])
    kind = "vanishing" if ratio < VANISHING else "exploding" if ratio > EXPLODING else "healthy"
    if not delta.all():
        return Reading(kind, ratio)
    slope, margin = slope_of(np.log10(delta))
    interval = (_power(-slope - margin), _power(-slope + margin)) if isfinite(margin) else None
    return Reading(kind, ratio, _power(-slope), interval)


def slope_of(heights: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float, float]:
    """The least-squares slope of a line over depth, and half the width of its 95 % interval (inf with fewer than 3 points).

    log |delta| is a sum of independent steps, one per layer (Hanin & Nica 2019). It is not a line with independent errors,
    so the textbook's interval would be far too narrow. The slope is a weighted sum of the steps, so its variance is that of
    a step times the sum of the squared weights.
    """
    steps, of_steps = np.diff(heights), step_weights(len(heights))
    slope = float(of_steps @ steps)
    if len(steps) < 2:
        return slope, float("inf")
    return slope, student_t(len(steps) - 1) * float(steps.std(ddof=1) * np.linalg.norm(of_steps))


def step_weights(points: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """How much each of the `points` - 1 steps counts for the slope of the least-squares line through all points."""
    depth = np.arange(points) - (points - 1) / 2
    weights: np.ndarray[Any, np.dtype[np.float64]] = (depth / (depth @ depth))[::-1].cumsum()[::-1][1:]
    return weights


def student_t(degrees: int) -> float:
    """The 97.5 % quantile of Student's t, within 0.2 % (Abramowitz & Stegun 1964, 26.7.5; exact for 1 and 2 degrees)."""
    if degrees == 1:
        return tan(pi * 0.475)
    if degrees == 2:
        return 0.95 * sqrt(2 / (4 * 0.975 * 0.025))
    z, n = 1.959963984540054, degrees
    return (
        z
        + (z**3 + z) / (4 * n)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3)
        + (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * n**4)
    )


def _power(exponent: float) -> float:
    """10 ** exponent without an overflow error."""
    return float(10**exponent) if exponent < 300 else float("inf")
