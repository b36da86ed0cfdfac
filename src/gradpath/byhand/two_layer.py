"""Two inputs, two hidden neurons, one output: z_i = w_i1 x1 + w_i2 x2 + b_i, a_i = phi(z_i), z = v1 a1 + v2 a2 + c."""

from dataclasses import dataclass

from gradpath.byhand.chain import phi, slope
from gradpath.byhand.derivatives import Activation
from gradpath.byhand.expression import Expression, ln, sigmoid
from gradpath.byhand.given import Loss
from gradpath.byhand.worksheet import Worksheet
from gradpath.errors import ConfigError


@dataclass(frozen=True)
class TwoLayer:
    """What is given: two inputs, a target and nine weights."""

    x1: float
    x2: float
    y: float
    w11: float
    w12: float
    w21: float
    w22: float
    b1: float
    b2: float
    v1: float
    v2: float
    c: float


def two_layer(given: TwoLayer, activation: Activation, loss: Loss) -> Worksheet:
    """Forward, then backward, every derivative once. The last line is dL/dw11 as the product of the factors on its path.

    Args:
        loss: "mse", L = (z - y)^2 / 2; or "bce", L = -(y ln p + (1 - y) ln(1 - p)) with p = sigmoid(z).

    Raises:
        ConfigError: a probability that rounds to 0 or 1.
    """
    sheet = Worksheet()
    x1, x2, y, w11, w12, w21, w22, b1, b2, v1, v2, c = (sheet.take(name, value) for name, value in vars(given).items())
    z1 = sheet.write("z1", w11 * x1 + w12 * x2 + b1)
    z2 = sheet.write("z2", w21 * x1 + w22 * x2 + b2)
    a1 = sheet.write("a1", phi(activation, z1))
    a2 = sheet.write("a2", phi(activation, z2))
    z = sheet.write("z", v1 * a1 + v2 * a2 + c)
    error = _loss(sheet, z, y, loss)
    d_z = sheet.write("dL/dz", error)
    sheet.write("dL/dv1", d_z * a1)
    sheet.write("dL/dv2", d_z * a2)
    sheet.write("dL/dc", d_z * 1)
    d_a1 = sheet.write("dL/da1", d_z * v1)
    d_a2 = sheet.write("dL/da2", d_z * v2)
    a1_z1 = sheet.write("da1/dz1", slope(activation, z1))
    a2_z2 = sheet.write("da2/dz2", slope(activation, z2))
    d_z1 = sheet.write("dL/dz1", d_a1 * a1_z1)
    d_z2 = sheet.write("dL/dz2", d_a2 * a2_z2)
    for d, i in ((d_z1, 1), (d_z2, 2)):
        sheet.write(f"dL/dw{i}1", d * x1)
        sheet.write(f"dL/dw{i}2", d * x2)
        sheet.write(f"dL/db{i}", d * 1)
    sheet.write("dL/dz * dz/da1 * da1/dz1 * dz1/dw11", error * v1 * a1_z1 * x1)
    return sheet


def _loss(sheet: Worksheet, z: Expression, y: Expression, loss: Loss) -> Expression:
    """Writes the loss and returns dL/dz. Raises ConfigError where p rounds to 0 or 1."""
    if loss == "mse":
        sheet.write("L", 0.5 * (z - y) ** 2)
        return z - y
    p = sheet.write("p", sigmoid(z))
    if p.value in (0.0, 1.0):
        raise ConfigError(f"weights: p is {p.value:g} to 16 digits, and ln 0 has no value; choose smaller ones.")
    sheet.write("L", -(y * ln(p) + (1 - y) * ln(1 - p)))
    return p - y
