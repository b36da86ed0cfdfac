"""What a search chooses from: every value that can be typed for it comes back as it was typed."""

import warnings

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from gradpath.config.composition import config_loader
from gradpath.config.grammar import parse, values
from gradpath.config.space import Space, space
from gradpath.errors import ConfigError
from gradpath.sweep.optuna_study import distribution


def of(*typed: str) -> Space:
    with config_loader() as loader:
        return space(parse(typed, loader), loader)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("interval(0.001,0.1)", FloatDistribution(0.001, 0.1)),
        ("interval(1,5)", FloatDistribution(1.0, 5.0)),
        ("tag(log,interval(1e-4,1e-1))", FloatDistribution(1e-4, 1e-1, log=True)),
        ("int(interval(1,5))", IntDistribution(1, 5)),
        ("tag(log,int(interval(1,100)))", IntDistribution(1, 100, log=True)),
        ("range(2,20)", IntDistribution(2, 19)),
        ("tag(log,range(1,20))", IntDistribution(1, 19, log=True)),
        ("range(10,2,-2)", IntDistribution(4, 10, step=2)),
        ("range(0.1,0.5,0.1)", FloatDistribution(0.1, 0.4, step=0.1)),
        ("range(0.5,0.1,-0.1)", FloatDistribution(0.2, 0.5, step=0.1)),
        ("range(3,4)", IntDistribution(3, 3)),
        ("0.1,null,a", CategoricalDistribution(("0.1", "null", "a"))),
        ("choice([1,2],[3])", CategoricalDistribution(("[1,2]", "[3]"))),
        ("0.1,0.1,0.2", CategoricalDistribution(("0.1", "0.2"))),
    ],
)
def test_what_optuna_chooses_from(typed: str, expected: object) -> None:
    (one,) = of(f"optimizer.lr={typed}").dimensions
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert distribution(one) == expected


@pytest.mark.parametrize(
    "typed", ["range(2,20)", "range(0,1,0.1)", "range(0.5,0.1,-0.1)", "range(10,2,-2)", "range(1,2,0.3)"]
)
def test_each_value_of_a_range_is_that_of_a_grid(typed: str) -> None:
    (one,) = of(f"optimizer.lr={typed}").dimensions
    texts = sorted(values(parse([f"optimizer.lr={typed}"])[0]), key=float)
    assert [*one.texts] == texts
    assert one.low is not None
    assert [one.text(one.low + k * (one.step or 0)) for k in range(len(texts))] == texts


def test_the_overrides_of_a_job_are_in_the_order_that_was_typed() -> None:
    found = of("seed=range(3)", "data=xor", "optimizer.lr=interval(0.01,0.1)", "activation=relu,tanh", "seed=range(5)")
    chosen = {"optimizer.lr": 0.0123456789, "activation": "tanh", "seed": 4}
    assert found.overrides(chosen) == ["seed=4", "data=xor", "optimizer.lr=0.0123456789", "activation=tanh"]
    assert found.named(chosen) == ["seed=4", "optimizer.lr=0.0123", "activation=tanh"]
    # What is checked before: all combinations of the choices and the ends.
    checked = {tuple(found.corners.overrides(place)) for place in found.corners.places_beside(1000)}
    assert len(checked) == 5 * 2 * 2
    assert ("seed=0", "data=xor", "optimizer.lr=0.1", "activation=relu") in checked
    # Of too many: each value beside the first of the others.
    assert len({*found.corners.places_beside(3)}) == 1 + 4 + 1 + 1


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("interval(2,1)", "from a number to a larger one"),
        ("interval(0,inf)", "from a number to a larger one"),
        ("tag(log,interval(0,1))", "begins above 0"),
        ("tag(log,range(1,9,2))", "in steps of 1"),
        ("tag(log,choice(1,2))", "only an interval"),
        ("tag(normal,interval(1,2))", "the only tag is log"),
        ("0.1", "nothing to choose"),
    ],
)
def test_what_cannot_be_chosen_from(typed: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        of(f"optimizer.lr={typed}")
