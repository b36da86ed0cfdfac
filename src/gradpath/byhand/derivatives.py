"""Activations and their derivatives, formula and code side by side."""

from collections.abc import Callable
from dataclasses import dataclass
from math import pi, sqrt

import torch
from torch import Tensor, nn

from gradpath.activations import Function
from gradpath.errors import ConfigError

Map = Callable[[Tensor], Tensor]
SELU_SCALE, SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
# Above this value torch computes softplus as the identity (its `threshold`).
SOFTPLUS_LINEAR = 20.0


@dataclass(frozen=True)
class Activation:
    """phi and phi', element by element, and how they are written.

    At a kink the derivative is torch's: that of the left side, and 0 at both ends of hardtanh.
    """

    name: str
    value: Map
    slope: Map
    formula: str
    slope_formula: str


def sigmoid(h: Tensor) -> Tensor:
    # 1 / (1 + e^-h) without overflow: the exponential is taken of -|h| only.
    e = torch.exp(-h.abs())
    return torch.where(h >= 0, 1 / (1 + e), e / (1 + e))


def identity() -> Activation:
    return Activation("identity", lambda h: h, torch.ones_like, "h", "1")


def logistic() -> Activation:
    return Activation("sigmoid", sigmoid, lambda h: sigmoid(h) * sigmoid(-h), "s(h) = 1 / (1 + e^-h)", "s(h) (1 - s(h))")


def tanh() -> Activation:
    return Activation("tanh", torch.tanh, lambda h: 1 - torch.tanh(h) ** 2, "tanh h", "1 - tanh(h)^2")


def leaky_relu(slope: float) -> Activation:
    return Activation(
        "leaky_relu" if slope else "relu",
        lambda h: torch.where(h > 0, h, slope * h),
        lambda h: torch.where(h > 0, torch.ones_like(h), slope),
        f"h if h > 0, else {slope:g} h" if slope else "max(0, h)",
        f"1 if h > 0, else {slope:g}",
    )


def gelu() -> Activation:
    return Activation(
        "gelu",
        lambda h: h * _normal_below(h),
        lambda h: _normal_below(h) + h * torch.exp(-(h**2) / 2) / sqrt(2 * pi),
        "h Phi(h), Phi(h) = (1 + erf(h / sqrt 2)) / 2",
        "Phi(h) + h e^(-h^2 / 2) / sqrt(2 pi)",
    )


def silu() -> Activation:
    return Activation(
        "silu",
        lambda h: h * sigmoid(h),
        lambda h: sigmoid(h) * (1 + h * sigmoid(-h)),
        "h s(h), s(h) = 1 / (1 + e^-h)",
        "s(h) (1 + h (1 - s(h)))",
    )


def elu(alpha: float, scale: float = 1.0) -> Activation:
    a, s = f"{alpha * scale:.6g} " if alpha * scale != 1 else "", f"{scale:.6g} " if scale != 1 else ""
    return Activation(
        "elu" if scale == 1 else "selu",
        # The exponents are never positive, so nothing overflows on the side that is not used.
        lambda h: scale * torch.where(h > 0, h, alpha * torch.expm1(h.clamp(max=0))),
        lambda h: scale * torch.where(h > 0, torch.ones_like(h), alpha * torch.exp(h.clamp(max=0))),
        f"{s}h if h > 0, else {a}(e^h - 1)",
        f"{s.strip() or 1} if h > 0, else {a}e^h",
    )


def softplus(beta: float) -> Activation:
    b = f"{beta:g} " if beta != 1 else ""
    return Activation(
        "softplus",
        lambda h: _softplus(beta * h) / beta,
        lambda h: torch.where(beta * h > SOFTPLUS_LINEAR, torch.ones_like(h), sigmoid(beta * h)),
        f"ln(1 + e^({b}h)) / {b}" if b else "ln(1 + e^h)",
        f"1 / (1 + e^(-{b}h))" if b else "1 / (1 + e^-h)",
    )


def mish() -> Activation:
    def slope(h: Tensor) -> Tensor:
        t = torch.tanh(_softplus(h))
        return t + h * sigmoid(h) * (1 - t**2)

    return Activation(
        "mish",
        lambda h: h * torch.tanh(_softplus(h)),
        slope,
        "h t(h), t(h) = tanh(ln(1 + e^h))",
        "t(h) + h s(h) (1 - t(h)^2), s(h) = 1 / (1 + e^-h)",
    )


def hardtanh(low: float, high: float) -> Activation:
    return Activation(
        "hardtanh",
        lambda h: h.clamp(low, high),
        lambda h: ((h > low) & (h < high)).to(h.dtype),
        f"h between {low:g} and {high:g}, else the nearer of the two",
        f"1 if {low:g} < h < {high:g}, else 0",
    )


def erf() -> Activation:
    return Activation("erf", torch.erf, lambda h: 2 / sqrt(pi) * torch.exp(-(h**2)), "erf h", "2 e^(-h^2) / sqrt pi")


def of_module(module: nn.Module) -> Activation:
    """The formulas of one of conf/activation's options. Raises ConfigError: for this one nothing is written out."""
    match module:
        case nn.Identity():
            return identity()
        case nn.Sigmoid():
            return logistic()
        case nn.Tanh():
            return tanh()
        case nn.ReLU():
            return leaky_relu(0.0)
        case nn.LeakyReLU():
            return leaky_relu(module.negative_slope)
        case nn.GELU(approximate="none"):
            return gelu()
        case nn.SiLU():
            return silu()
        case nn.ELU():
            return elu(module.alpha)
        case nn.SELU():
            return elu(SELU_ALPHA, SELU_SCALE)
        case nn.Softplus(threshold=20):
            return softplus(module.beta)
        case nn.Mish():
            return mish()
        case nn.Hardtanh():
            return hardtanh(module.min_val, module.max_val)
        case Function(name="torch.erf"):
            return erf()
    name = module.name if isinstance(module, Function) else type(module).__name__
    raise ConfigError(f"activation={name}: no derivative is written out for it; write it in byhand/derivatives.py.")


def _normal_below(h: Tensor) -> Tensor:
    """Phi(h), the share of N(0, 1) below h; erfc keeps its digits far to the left."""
    below: Tensor = torch.special.erfc(-h / sqrt(2)) / 2
    return below


def _softplus(h: Tensor) -> Tensor:
    return torch.where(h > SOFTPLUS_LINEAR, h, torch.log1p(torch.exp(h.clamp(max=SOFTPLUS_LINEAR))))
