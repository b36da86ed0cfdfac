"""The depth that trains: SCIENCE's depth scales, and networks whose length map has no fixed point."""

from math import inf, log

import pytest
from torch import nn

from gradpath.theory.layers import Scale
from gradpath.theory.mean_field import critical_sigma_w2, mean_field
from gradpath.theory.outlook import outlook, said


def network(depth: int, sigma_w2: float, sigma_b2: float = 0.0) -> list[Scale]:
    return [Scale(str(i), 100, sigma_w2, sigma_b2) for i in range(depth)]


@pytest.mark.parametrize(("sigma_w2", "xi_c"), [(1, 3.627), (1.3, 7.834), (1.5, 15.79), (2.5, 11.80), (4, 6.980)])
def test_six_depth_scales_of_tanh(sigma_w2: float, xi_c: float) -> None:
    found = outlook(nn.Tanh(), network(40, sigma_w2, 0.05), 1.0, adaptive=False)
    assert found is not None
    assert found.limit == pytest.approx(6 * xi_c, rel=1e-3)
    assert found.says == ("trains" if 6 * xi_c >= 40 else "uncertain" if 12 * xi_c >= 40 else "will not train")
    fourfold = outlook(nn.Tanh(), network(40, sigma_w2, 0.05), 1.0, adaptive=True)
    assert fourfold is not None
    assert fourfold.limit == pytest.approx(4 * found.limit)


@pytest.mark.parametrize(
    ("depth", "limit", "says"),
    [
        (20, 20.0, "trains"),
        (21, 20.9, "uncertain"),
        (40, 20.0, "uncertain"),
        (41, 20.4, "will not train"),
        (1000, inf, "trains"),
        (2, 0.0, "will not train"),
    ],
)
def test_what_is_said(depth: int, limit: float, says: str) -> None:
    assert said(depth, limit) == says


def test_result_json_has_what_is_said() -> None:
    for sigma_w2, says in ((2.0, "trains"), (1.0, "uncertain"), (0.3, "will not train")):
        found = outlook(nn.ReLU(), network(12, sigma_w2), 1.0, adaptive=False)
        assert found is not None
        assert found.as_dict()["says"] == says
        assert "trains" not in found.as_dict()


def test_what_does_not_train_is_told_its_critical_scale() -> None:
    found = outlook(nn.Tanh(), network(40, 1.0, 0.05), 1.0, adaptive=False, critical_sigma_b2=0.05)
    assert found is not None
    assert found.critical == pytest.approx(critical_sigma_w2(nn.Tanh(), 0.05, 1.0, 40))


@pytest.mark.parametrize("sigma_w2", [0.5, 1.0, 3.0])
def test_relu_without_biases_has_no_fixed_point(sigma_w2: float) -> None:
    """|delta|^2 changes by sigma_w^2 / 2 per layer, whatever the length map does: 6 / |log| layers."""
    assert mean_field(nn.ReLU(), sigma_w2, 0.0).q_star in (0.0, inf)
    found = outlook(nn.ReLU(), network(60, sigma_w2), 1.0, adaptive=False)
    assert found is not None
    assert found.xi_c is None
    assert found.limit == pytest.approx(6 / abs(log(sigma_w2 / 2)), abs=1)


def test_he_trains_at_any_depth() -> None:
    found = outlook(nn.ReLU(), network(100, 2.0), 1.0, adaptive=False)
    assert found is not None
    assert (found.says, found.limit) == ("trains", inf)


def test_no_remedy_that_is_none() -> None:
    """GELU's lengths are unstable where its gradient is balanced: 200 critical layers do not train either."""
    found = outlook(nn.GELU(), network(200, 2.35), 1.0, adaptive=False)
    assert found is not None
    assert (found.says, found.critical) == ("will not train", None)


@pytest.mark.parametrize("depth", [5, 20, 80])
def test_the_limit_does_not_depend_on_where_the_network_ends(depth: int) -> None:
    found = outlook(nn.ReLU(), network(depth, 1.8), 1.0, adaptive=False)
    assert found is not None
    assert found.limit == pytest.approx(6 / abs(log(0.9)), abs=1)


def test_nothing_to_say_of_one_layer_or_of_zeros() -> None:
    assert outlook(nn.Tanh(), network(1, 1.0), 1.0, adaptive=False) is None
    assert outlook(nn.Tanh(), network(5, 0.0), 1.0, adaptive=False) is None
