"""Sums of squares over the whole range of float32."""

import math

import pytest
import torch

from gradpath.flow.norms import square_sum

SIZES = [0.0, 1e-44, 1e-38, 1e-30, 3e-22, 1e-19, 2e-16, 1e-14, 1e-3, 1.0, 1e14, 1e17, 1e25, 3e38]


@pytest.mark.parametrize("last", [1.0, 0.0, 1e-40, math.inf, math.nan])
@pytest.mark.parametrize("size", SIZES)
def test_square_sum_of_any_size(size: float, last: float) -> None:
    """The hint `last` may be anything: a wrong one may cost time, but never digits."""
    values = (torch.randn(1000, generator=torch.Generator().manual_seed(0)) * 0.3 * size).clamp(-3.4e38, 3.4e38)
    expected = math.fsum(v * v for v in values.double().tolist())
    assert square_sum(values, last) == pytest.approx(expected, rel=1e-5, abs=0)


@pytest.mark.parametrize("last", [1.0, 1e-40])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_square_sum_of_what_is_not_finite(bad: float, last: float) -> None:
    """The sum is inf, because NaN in a record would mean that nothing was measured."""
    assert square_sum(torch.tensor([1e-20, bad]), last) == math.inf


def test_square_sum_of_other_types() -> None:
    assert square_sum(torch.full((2, 3), 0.5, dtype=torch.bfloat16)) == 1.5
    assert square_sum(torch.full((4,), 1e-200, dtype=torch.float64)) == 0
    assert square_sum(torch.full((4,), 1e-100, dtype=torch.float64)) == pytest.approx(4e-200, rel=1e-12, abs=0)
