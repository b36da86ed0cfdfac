"""The class on networks that branch, against float64 autograd."""

from collections import Counter

import pytest

from gradpath.studies.zoo import score, suite, table


@pytest.mark.slow
def test_the_class_is_right_on_networks_of_all_kinds() -> None:
    sights = [score(case) for case in suite()]
    assert len(sights) >= 60
    counts = Counter(sight.truth for sight in sights)
    assert min(counts["vanishing"], counts["healthy"]) >= 20
    assert counts["exploding"] >= 5
    wrong = [sight for sight in sights if sight.truth != sight.said]
    assert len(wrong) <= 0.05 * len(sights), "\n".join([*table(sights), *map(str, wrong)])
    assert not [sight for sight in sights if sight.truth == "healthy" and sight.accused]
    assert max(sight.findings for sight in sights) <= 3
