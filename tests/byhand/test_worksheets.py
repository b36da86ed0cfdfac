"""One neuron and 2-2-1: every line against autograd, and the printed formulas against their own values."""

import math
import re
from typing import Any, get_args

import pytest
import torch
from hypothesis import assume, given, seed, settings
from hypothesis import strategies as st
from torch import nn

from gradpath.byhand import derivatives
from gradpath.byhand.beside_autograd import chain_by_autograd, two_layer_by_autograd
from gradpath.byhand.chain import Chain, chain
from gradpath.byhand.expression import named
from gradpath.byhand.given import Loss
from gradpath.byhand.two_layer import TwoLayer, two_layer
from gradpath.byhand.worksheet import Worksheet
from gradpath.errors import ConfigError

NUMBER = st.floats(-3, 3, allow_subnormal=False)
MODULES = {"relu": nn.ReLU(), "sigmoid": nn.Sigmoid(), "tanh": nn.Tanh(), "gelu": nn.GELU(), "elu": nn.ELU()}


def check(sheet: Worksheet, expected: dict[str, float], module: nn.Module) -> None:
    """Every line has autograd's value; its formula, read as Python, gives it, and so do the numbers put in."""
    assert {line.name for line in sheet.lines} == set(expected)
    phi = derivatives.of_module(module)
    functions: dict[str, Any] = {
        phi.name: lambda h: phi.value(torch.tensor(h, dtype=torch.float64)).item(),
        "slope": lambda h: phi.slope(torch.tensor(h, dtype=torch.float64)).item(),
        "ln": math.log,
        "sigmoid": lambda h: 1 / (1 + math.exp(-h)),
    }
    known = dict(sheet.given)
    for line in sheet.lines:
        assert line.value == pytest.approx(expected[line.name], rel=1e-12, abs=1e-12), line.name
        formula, numbers = (text.replace(f"{phi.name}'", "slope") for text in (line.formula, line.numbers))
        formula = re.sub(r"d\w+/d\w+", lambda found: f"known['{found[0]}']", formula)
        assert eval(formula, functions | known | {"known": known}) == pytest.approx(line.value, rel=1e-12, abs=1e-15)
        assert eval(numbers, functions) == pytest.approx(line.value, rel=1e-3, abs=1e-3)
        known[line.name] = line.value


@pytest.mark.parametrize("name", MODULES)
@seed(0)
@settings(deadline=None, max_examples=30)
@given(numbers=st.lists(NUMBER, min_size=6, max_size=6))
def test_the_chain(name: str, numbers: list[float]) -> None:
    given_, module = Chain(*numbers), MODULES[name]
    check(chain(given_, derivatives.of_module(module)), chain_by_autograd(given_, module), module)


@pytest.mark.parametrize("loss", get_args(Loss))
@pytest.mark.parametrize("name", MODULES)
@seed(0)
@settings(deadline=None, max_examples=30)
@given(numbers=st.lists(NUMBER, min_size=11, max_size=11), y=st.sampled_from([0.0, 1.0]))
def test_the_two_layer_network(name: str, loss: Loss, numbers: list[float], y: float) -> None:
    given_, module = TwoLayer(*numbers[:2], y, *numbers[2:]), MODULES[name]
    expected = two_layer_by_autograd(given_, module, loss)
    # Beyond, ln(1 - p) is that of a number of which few digits are left.
    assume(loss == "mse" or abs(expected["z"]) < 5)
    check(two_layer(given_, derivatives.of_module(module), loss), expected, module)


def test_by_finite_differences() -> None:
    """Neither autograd nor a derivative: the loss itself, a little to both sides."""
    given_ = TwoLayer(1, 0, 1, 0.5, -0.2, 0.3, 0.8, 0.1, -0.4, 0.6, -0.7, 0.05)
    phi = derivatives.tanh()
    sheet = two_layer(given_, phi, "bce")
    for name in ("w11", "w22", "b2", "v1", "c"):
        sides = [
            two_layer(TwoLayer(**vars(given_) | {name: vars(given_)[name] + e}), phi, "bce")["L"] for e in (-1e-5, 1e-5)
        ]
        assert sheet[f"dL/d{name}"] == pytest.approx((sides[1] - sides[0]) / 2e-5, abs=1e-9)


def test_the_logarithm_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="p is 1 to 16 digits"):
        two_layer(TwoLayer(1, 0, 0, 50, 0, 0, 0, 0, 0, 1, 0, 0), derivatives.leaky_relu(0.0), "bce")


def test_nothing_is_written_down_twice() -> None:
    sheet = Worksheet()
    x = sheet.take("x", 2.0)
    sheet.write("y", x * x)
    with pytest.raises(ValueError, match="y has been written down already"):
        sheet.write("y", x)
    with pytest.raises(ValueError, match="x has been written down already"):
        sheet.take("x", 1.0)


def test_brackets_stand_where_they_are_needed() -> None:
    a, b, c = named("a", 2.0), named("b", -3.0), named("c", 5.0)
    for expression, formula, value in (
        (a - (b - c), "a - (b - c)", 10.0),
        (a - b - c, "a - b - c", 0.0),
        ((a + b) * c, "(a + b)*c", -5.0),
        (a + b * c, "a + b*c", -13.0),
        (-(a + b), "-(a + b)", 1.0),
        (-(a * b) * c, "(-a*b)*c", 30.0),
        ((a * b) ** 2, "(a*b)**2", 36.0),
        (0.5 * (a - b) ** 2, "0.5*(a - b)**2", 12.5),
        ((a**2) ** 3, "(a**2)**3", 64.0),
        (1 - a, "1 - a", -1.0),
    ):
        assert (expression.formula, expression.value) == (formula, value)
        assert eval(expression.numbers) == value
        assert eval(expression.formula, {"a": 2.0, "b": -3.0, "c": 5.0}) == value
