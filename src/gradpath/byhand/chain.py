"""One hidden neuron: z1 = w1 x + b1, a1 = phi(z1), z2 = w2 a1 + b2, L = (z2 - y)^2 / 2."""

from dataclasses import dataclass

import torch

from gradpath.byhand.derivatives import Activation, Map
from gradpath.byhand.expression import Expression, apply
from gradpath.byhand.worksheet import Worksheet


@dataclass(frozen=True)
class Chain:
    """What is given: an input, a target and four weights."""

    x: float
    y: float
    w1: float
    b1: float
    w2: float
    b2: float


def chain(given: Chain, activation: Activation) -> Worksheet:
    """Forward, then backward, every derivative once (Rumelhart et al. 1986)."""
    sheet = Worksheet()
    x, y, w1, b1, w2, b2 = (sheet.take(name, value) for name, value in vars(given).items())
    z1 = sheet.write("z1", w1 * x + b1)
    a1 = sheet.write("a1", phi(activation, z1))
    z2 = sheet.write("z2", w2 * a1 + b2)
    sheet.write("L", 0.5 * (z2 - y) ** 2)
    d_z2 = sheet.write("dL/dz2", z2 - y)
    sheet.write("dL/dw2", d_z2 * a1)
    sheet.write("dL/db2", d_z2 * 1)
    d_a1 = sheet.write("dL/da1", d_z2 * w2)
    a1_z1 = sheet.write("da1/dz1", slope(activation, z1))
    d_z1 = sheet.write("dL/dz1", d_a1 * a1_z1)
    sheet.write("dL/dw1", d_z1 * x)
    sheet.write("dL/db1", d_z1 * 1)
    return sheet


def phi(activation: Activation, z: Expression) -> Expression:
    """phi(x) as an expression."""
    return apply(activation.name, lambda h: _of_number(activation.value, h), z)


def slope(activation: Activation, z: Expression) -> Expression:
    """phi'(x) as an expression."""
    return apply(f"{activation.name}'", lambda h: _of_number(activation.slope, h), z)


def _of_number(function: Map, h: float) -> float:
    return float(function(torch.tensor(h, dtype=torch.float64)))
