"""The map of depths that still train: its cells' settings and theory's curve. tests/cli/test_pictures.py trains one."""

import pytest

from gradpath.config.composition import compose
from gradpath.studies.trainability import FULL, Grid, critical, depth_limits, overrides, table
from gradpath.theory.mean_field import mean_field


def test_the_curve_is_six_depth_scales() -> None:
    sigma_w2 = [1.0, 1.3, 2.0, 4.0]
    assert depth_limits(sigma_w2).tolist() == [6 * mean_field("tanh", s, 0.05).xi_c for s in sigma_w2]
    assert depth_limits(sigma_w2) == pytest.approx([6 * 3.627, 6 * 7.834, 6 * 25.21, 6 * 6.980], rel=1e-3)
    assert critical() == pytest.approx(1.7610, abs=1e-4)


def test_a_cell_is_the_network_it_says() -> None:
    config, choices = compose(*overrides(200, 40, 1.75))
    assert config["model"]["hidden"] == [200] * 40
    assert (config["init"]["gain"] ** 2, config["init"]["sigma_b2"]) == pytest.approx((1.75, 0.05))
    assert (choices["activation"], choices["init"], choices["optimizer"]) == ("tanh", "he_normal", "sgd")
    assert config["trainer"]["limit_train_batches"] * config["data"]["batch_size"] <= 55000


def test_the_full_grid_covers_both_phases() -> None:
    assert FULL.sigma_w2[0] < critical() < FULL.sigma_w2[-1]
    # Both ends of the curve lie within the map, its peak above it.
    limits = depth_limits(FULL.sigma_w2)
    assert FULL.depths[0] < limits[0] < FULL.depths[-1]
    assert FULL.depths[0] < limits[-1] < FULL.depths[-1] < limits.max()


def test_table() -> None:
    lines = list(table(Grid(10, (2, 4), (1.0, 2.0)), depth_limits([1, 2, 3, 4]).reshape(2, 2) / 1000))
    assert lines[0] == "sigma_w2,depth,test_accuracy,six_xi_c"
    assert lines[2] == "2,2,0.1513,151.28"
    assert len(lines) == 5
