"""The statistics of pairs against scipy's, and against their definitions written out."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from gradpath.sweep.paired import (
    BLOCK,
    FLIPS,
    RESAMPLES,
    SEED,
    bootstrap_interval,
    holm,
    pairs_needed,
    sign_flip_p,
    smallest_corrected,
    smallest_p,
)

DRAWS = range(12)


def drawn(seed: int, most: int = 11) -> list[float]:
    """Differences: few or many, with a shift or without, some rounded so that they tie, some zero."""
    rng = np.random.default_rng(seed)
    d = rng.normal(rng.choice([0.0, 0.5, 2.0]), 1.0, rng.integers(2, most)) * 10.0 ** rng.integers(-6, 4)
    if seed % 3 == 1:
        d = np.round(d / np.abs(d).max(), 1)
    return [float(value) for value in d]


@pytest.mark.parametrize("seed", DRAWS)
def test_sign_flips_are_scipys(seed: int) -> None:
    d = drawn(seed)
    expected = stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=np.inf, vectorized=False)
    assert sign_flip_p(d) == pytest.approx(expected.pvalue, rel=1e-12)


@pytest.mark.parametrize("seed", DRAWS[:4])
def test_all_flips_are_tried_up_to_sixteen_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    d = rng.normal(0.4, 1, 16)
    p = stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=np.inf, vectorized=True, axis=-1)
    assert sign_flip_p(d.tolist()) == pytest.approx(p.pvalue, rel=1e-12)


@pytest.mark.parametrize("seed", DRAWS[:4])
def test_random_flips_are_near_scipys(seed: int) -> None:
    rng = np.random.default_rng(seed)
    d = rng.normal(rng.uniform(0, 0.6), 1, int(rng.integers(17, 200)))
    other = stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=FLIPS, rng=seed, axis=-1)
    noise = np.sqrt(other.pvalue * (1 - other.pvalue) * 2 / FLIPS)
    assert sign_flip_p(d.tolist()) == pytest.approx(other.pvalue, abs=5 * noise + 3 / FLIPS)
    assert sign_flip_p(d.tolist()) == sign_flip_p(d.tolist())


def test_a_random_test_is_never_certain() -> None:
    assert sign_flip_p([1.0 + k / 100 for k in range(60)]) == smallest_p(60) == 1 / (FLIPS + 1)


def test_rounding_breaks_no_tie() -> None:
    """0.1 + 0.2 is not 0.3 in binary, but these flips tie with what was measured."""
    assert sign_flip_p([0.1, 0.2, -0.3]) == 1
    assert sign_flip_p([0.0, 0.0, 0.0]) == 1
    assert sign_flip_p([0.3, 0.1, 0.2]) == sign_flip_p([3, 1, 2]) == 0.25


def test_without_pairs() -> None:
    assert sign_flip_p([]) is None
    assert bootstrap_interval([]) is None
    assert bootstrap_interval([0.3]) is None
    assert holm([]) == []


@pytest.mark.parametrize("seed", DRAWS)
def test_the_interval_is_scipys(seed: int) -> None:
    """The same numbers, because both draw from the same generator in the same order."""
    d = drawn(seed, most=40)
    if len(set(d)) == 1:
        return
    rng = np.random.default_rng(SEED)
    expected = stats.bootstrap((d,), np.mean, method="percentile", n_resamples=RESAMPLES, rng=rng).confidence_interval
    assert bootstrap_interval(d) == pytest.approx((expected.low, expected.high), rel=1e-9, abs=1e-12 * max(map(abs, d)))


def test_the_interval_of_many_pairs_is_made_in_blocks() -> None:
    """More pairs than fit in a block: the interval is near the normal one, of half width 1.96 s / sqrt(n)."""
    d = np.random.default_rng(5).normal(1, 1, 3000)
    assert RESAMPLES * len(d) > 20 * BLOCK
    low, high = bootstrap_interval(d.tolist())
    half = 1.959964 * d.std() / np.sqrt(len(d))
    assert (low, high) == pytest.approx((d.mean() - half, d.mean() + half), abs=0.06 * half)


def by_definition(p: list[float]) -> list[float]:
    """Holm's corrected p: the smallest level at which step by step, from the smallest p, this one is still rejected."""
    levels = sorted({min(1.0, k * value) for value in p for k in range(1, len(p) + 1)})
    found = []
    for own in range(len(p)):
        for level in levels:
            rejected = []
            for step, place in enumerate(sorted(range(len(p)), key=lambda k: p[k])):
                # A level that was itself made by this product must not fail for rounding.
                if p[place] * (len(p) - step) > level * (1 + 1e-12):
                    break
                rejected.append(place)
            if own in rejected:
                found.append(level)
                break
        else:
            found.append(1.0)
    return found


@pytest.mark.parametrize("seed", DRAWS)
def test_holm_is_its_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = (rng.random(int(rng.integers(1, 9))) ** 3).tolist()
    assert holm(p) == pytest.approx(by_definition(p))
    tied = [0.01, p[0], 0.01, 1.0]
    assert holm(tied) == pytest.approx(by_definition(tied))


def test_the_smallest_p_is_reached_by_differences_of_one_sign() -> None:
    rng = np.random.default_rng(0)
    for n in range(1, 17):
        assert sign_flip_p((1 + rng.random(n)).tolist()) == smallest_p(n) == min(1, 2 / 2**n)


def test_how_many_pairs_are_needed() -> None:
    """The first number of pairs with which all of one sign, corrected for the comparisons, come to 0.05."""
    for comparisons in (1, 2, 3, 4, 7, 20, 100):
        reached = [n for n in range(1, 17) if holm([sign_flip_p([1.0] * n)] * comparisons)[0] <= 0.05]
        assert pairs_needed([1] * comparisons, 0) == reached[0]
    assert [pairs_needed([5] * m, 0) for m in (1, 2, 3, 4)] == [6, 7, 7, 8]
    assert [pairs_needed([5, 10], place) for place in (0, 1)] == [6, 7]
    assert pairs_needed([1] * 10_000, 0) is None


@pytest.mark.parametrize("pairs", [*product(range(1, 5), repeat=3)])
def test_the_smallest_corrected_p_is_the_smallest_of_all(pairs: tuple[int, ...]) -> None:
    """All p that tests of so many pairs can give, each with each, corrected."""
    can_be = [sorted({*np.arange(1, 2 ** (n - 1) + 1) * 2 / 2**n}) for n in pairs]
    corrected = np.array([holm(values) for values in product(*can_be)])
    assert smallest_corrected(pairs) == corrected.min(axis=0).tolist()


@pytest.mark.parametrize("others", [(4,), (9,), (5, 5), (6, 12), (3, 8, 16)])
def test_so_many_pairs_are_enough_beside_the_others(others: tuple[int, ...]) -> None:
    needed = pairs_needed([1, *others], 0)
    for n in range(1, 17):
        d = [[1.0] * count for count in (n, *others)]
        assert (holm([sign_flip_p(values) for values in d])[0] <= 0.05) == (n >= needed)


def test_chance_alone_is_found_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    found = [sign_flip_p(rng.normal(0, 1, 8).tolist()) <= 0.05 for _ in range(1000)]
    assert 0.03 < np.mean(found) < 0.07
