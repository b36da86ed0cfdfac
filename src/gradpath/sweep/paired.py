"""Statistics of paired differences, d_1 to d_n: an interval, a test, and its correction for several comparisons.

Sources: B. Efron and R. J. Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13 (the percentile interval);
R. A. Fisher, The Design of Experiments, 1935, section 21 (the test by flipping signs); B. Phipson and G. K. Smyth,
Permutation p-values should never be zero, Stat. Appl. Genet. Mol. Biol. 9, 2010; S. Holm, A simple sequentially rejective
multiple test procedure, Scand. J. Statist. 6, 1979.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
LEVEL = 0.95
ALPHA = 0.05
RESAMPLES = 10_000
# All signs are tried for up to so many pairs; for more, so many random ones.
EXACT, FLIPS = 16, 20_000
SEED = 0
# Numbers in one block of resamples or flips: the memory does not grow with the pairs.
BLOCK = 1 << 20
# Means that differ by less, relative to the mean of the |d|, are equal but for rounding.
ROUNDING = 1e-12


def bootstrap_interval(differences: Sequence[float]) -> tuple[float, float] | None:
    """The percentile interval of the mean difference: the 2.5 % and 97.5 % quantiles of mean(d*) over resamples d*.

    Each resample draws n of the n differences with replacement. With few pairs the interval is too narrow, by a factor near
    sqrt((n - 1) / n) and more. A single pair has none.
    """
    d = np.asarray(differences, dtype=float)
    if len(d) < 2:
        return None
    rng = np.random.default_rng(SEED)
    means = np.concatenate([d[rng.integers(0, len(d), (rows, len(d)))].mean(axis=1) for rows in _blocks(RESAMPLES, len(d))])
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def sign_flip_p(differences: Sequence[float]) -> float | None:
    """The two-sided p of the mean difference, if each d_i could as well have had the other sign.

    Up to 16 pairs all 2^n signs s are tried: p is the share of them with |mean(s d)| >= |mean(d)|. For more pairs 20,000
    signs are drawn, and p = (1 + those with as large a mean) / (1 + 20,000): the signs as measured count, too.
    """
    d = np.asarray(differences, dtype=float)
    n = len(d)
    if n == 0:
        return None
    # Sums in place of means: their order is the same.
    reached = abs(d.sum()) - ROUNDING * np.abs(d).sum()
    if n <= EXACT:
        return float(np.mean(np.abs(_all_signs(n) @ d) >= reached))
    rng = np.random.default_rng(SEED)
    count = 0
    for rows in _blocks(FLIPS, n):
        signs = 2.0 * rng.integers(0, 2, (rows, n)) - 1
        count += int(np.sum(np.abs(signs @ d) >= reached))
    return (1 + count) / (1 + FLIPS)


def holm(values: Sequence[float]) -> list[float]:
    """The p-values of m comparisons, corrected so that the chance of any false one stays below the level.

    For p_(1) <= ... <= p_(m) the i-th becomes max over j <= i of min(1, (m - j + 1) p_(j)).
    """
    p = np.asarray(values, dtype=float)
    order = np.argsort(p, kind="stable")
    factors = np.arange(len(p), 0, -1)
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(1, np.maximum.accumulate(factors * p[order]))
    return [float(value) for value in corrected]


def smallest_p(pairs: int) -> float:
    """The smallest p that the test can give: 2 / 2^n, because the measured signs and their opposites always count."""
    return min(1.0, 2 / 2**pairs) if pairs <= EXACT else 1 / (1 + FLIPS)


def smallest_corrected(pairs: Sequence[int]) -> list[float]:
    """The smallest corrected p that each of several comparisons can get.

    Each gets it where all come out as clearly as they can: no corrected p falls when another p rises.

    Args:
        pairs: of each comparison.
    """
    return holm([smallest_p(n) for n in pairs])


def pairs_needed(pairs: Sequence[int], place: int) -> int | None:
    """With how many pairs the corrected p of a comparison can come to 0.05; None: with no number.

    Args:
        pairs: of each comparison. Those of the others stay.
        place: of this comparison among them.
    """
    counts = range(1, EXACT + 2)
    return next((n for n in counts if smallest_corrected([*pairs[:place], n, *pairs[place + 1 :]])[place] <= ALPHA), None)


@lru_cache(maxsize=2)
def _all_signs(n: int) -> NDArray[Any]:
    """(2^(n-1), n): all signs but for the opposite of each, which has the same |mean|."""
    bits = np.arange(2 ** (n - 1))[:, None] >> np.arange(n)
    return 1.0 - 2.0 * (bits & 1)


def _blocks(rows: int, columns: int) -> Iterator[int]:
    """Numbers of rows that add up to `rows`, each few enough for a block."""
    largest = max(1, BLOCK // columns)
    for begun in range(0, rows, largest):
        yield min(largest, rows - begun)
