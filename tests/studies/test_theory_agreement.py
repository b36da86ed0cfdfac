"""Theory's slopes against measured ones, a few of those that `scripts/compare_theory.py` tabulates."""

import pytest

from gradpath.studies.theory_agreement import ACTIVATIONS, NORMS, agreement, slope, suite, table

CASES = [
    ("tanh", "he_normal", "none", 20),
    ("relu", "he_normal", "batch_before", 10),
    ("gelu", "pytorch", "layer_after", 10),
]


@pytest.mark.parametrize(("activation", "init", "norm", "depth"), CASES)
def test_measured_and_predicted_agree(activation: str, init: str, norm: str, depth: int) -> None:
    found = agreement(activation, init, norm, depth)
    assert found.agrees, found
    # Far from what another phase would do.
    assert abs(found.predicted) > 0.1
    assert 0 < found.spread < 0.05


def test_the_suite_covers_what_it_says() -> None:
    cases = suite()
    assert len(set(cases)) == len(cases) >= 60
    assert {case[0] for case in cases} == set(ACTIVATIONS)
    assert {case[2] for case in cases} == {"none", *NORMS}
    assert max(case[3] for case in cases) == 50


def test_slope_and_table() -> None:
    assert slope([8.0, 4.0, 2.0, 1.0]) == pytest.approx(1.3862943611)
    found = agreement("tanh", "he_normal", "none", 3, width=32)
    *_, last = table([found])
    assert "of 1 agree" in last
