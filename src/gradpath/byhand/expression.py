"""Numbers that remember how they were computed."""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, log

# How tightly the outermost operator binds, loosest first; a name, a number or a function's call needs no brackets.
SUM, PRODUCT, POWER, ATOM = 1, 2, 3, 4


@dataclass(frozen=True)
class Expression:
    """A value and its formula, once in names and once with the numbers put in. Both formulas are valid Python.

    `w * x + b` of three named quantities has the formula "w*x + b", the numbers "0.5*2 + 1" and the value 2.
    """

    formula: str
    numbers: str
    value: float
    binding: int = ATOM

    def __add__(self, other: "Expression | float") -> "Expression":
        return _joined(self, " + ", other, SUM, SUM, lambda a, b: a + b)

    def __sub__(self, other: "Expression | float") -> "Expression":
        return _joined(self, " - ", other, SUM, PRODUCT, lambda a, b: a - b)

    def __mul__(self, other: "Expression | float") -> "Expression":
        return _joined(self, "*", other, PRODUCT, PRODUCT, lambda a, b: a * b)

    def __pow__(self, exponent: int) -> "Expression":
        formula, numbers = (f"{_bracketed(text, self.binding, ATOM)}**{exponent}" for text in (self.formula, self.numbers))
        return Expression(formula, numbers, self.value**exponent, POWER)

    def __neg__(self) -> "Expression":
        formula, numbers = (f"-{_bracketed(text, self.binding, PRODUCT)}" for text in (self.formula, self.numbers))
        return Expression(formula, numbers, -self.value, SUM)

    def __rmul__(self, other: float) -> "Expression":
        return _constant(other) * self

    def __rsub__(self, other: float) -> "Expression":
        return _constant(other) - self


def named(name: str, value: float) -> Expression:
    """Names a quantity: formulas use the name from here on. A negative number stands in brackets in formulas."""
    text = f"{value:.6g}"
    return Expression(name, f"({text})" if text.startswith("-") else text, value)


def apply(name: str, function: Callable[[float], float], argument: Expression) -> Expression:
    """`name(argument)`."""
    numbers = argument.numbers if argument.numbers.startswith("(") else f"({argument.numbers})"
    return Expression(f"{name}({argument.formula})", name + numbers, function(argument.value))


def ln(argument: Expression) -> Expression:
    return apply("ln", log, argument)


def sigmoid(argument: Expression) -> Expression:
    return apply("sigmoid", lambda h: 1 / (1 + exp(-h)) if h > -700 else 0.0, argument)


def _constant(value: float) -> Expression:
    return Expression(f"{value:g}", f"{value:g}", value)


def _joined(
    left: Expression,
    sign: str,
    other: Expression | float,
    binding: int,
    of_right: int,
    operation: Callable[[float, float], float],
) -> Expression:
    """`of_right`: how tightly the right side has to bind to stand without brackets; a - (b + c) is not a - b + c."""
    right = other if isinstance(other, Expression) else _constant(other)
    formula, numbers = (
        _bracketed(a, left.binding, binding) + sign + _bracketed(b, right.binding, of_right)
        for a, b in ((left.formula, right.formula), (left.numbers, right.numbers))
    )
    return Expression(formula, numbers, operation(left.value, right.value), binding)


def _bracketed(text: str, binding: int, least: int) -> str:
    return text if binding >= least else f"({text})"
