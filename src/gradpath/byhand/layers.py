"""The operations of a network: the value of each, the gradient it passes on, and the gradients of its parameters."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from gradpath.byhand.derivatives import Activation

# What an entry of the input reaches in the output: the entry in its own place, the units of its sample, or its unit in every
# sample.
Reach = Literal["entry", "sample", "unit"]


class Operation(ABC):
    """One step of a network on a batch, (B, n) -> (B, m).

    Args:
        name: of what comes out. formula: how it is computed from what comes in. derivative: how dL/d(what comes in) is.
        parameters: by short name, changed in place by training. formulas: of dL/dparameter, by the same names.

    gradients: dL/dparameter likewise, after `backward`. times: that `backward` was asked for.
    """

    reach: Reach

    def __init__(
        self,
        name: str,
        formula: str,
        derivative: str,
        parameters: Mapping[str, Tensor] | None = None,
        formulas: Mapping[str, str] | None = None,
    ) -> None:
        self.name, self.formula, self.derivative = name, formula, derivative
        self.parameters, self.formulas = parameters or {}, formulas or {}
        self.gradients: dict[str, Tensor] = {}
        self.times = 0

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Computes the output and keeps what `backward` needs."""

    def backward(self, grad: Tensor) -> Tensor:
        """From dL/d(output) to dL/d(input)."""
        self.times += 1
        return self._backward(grad)

    @abstractmethod
    def _backward(self, grad: Tensor) -> Tensor:
        """Applies the operation's derivative to `grad`."""


class Linear(Operation):
    """h_i = sum_j W_ij x_j + b_i for each sample (Rumelhart et al. 1986).

    dL/dx = W^T dL/dh, dL/dW = sum over the samples of dL/dh x^T, dL/db = sum over the samples of dL/dh.
    """

    reach = "sample"

    def __init__(self, name: str, given: str, weight: Tensor, bias: Tensor) -> None:
        number = name[1:]
        formula, derivative = f"W{number} {given} + b{number}", f"W{number}^T dL/d{name}"
        formulas = {"weight": f"sum over samples of dL/d{name} {given}^T", "bias": f"sum over samples of dL/d{name}"}
        super().__init__(name, formula, derivative, {"weight": weight, "bias": bias}, formulas)
        self.weight, self.bias = weight, bias

    def forward(self, x: Tensor) -> Tensor:
        self.x = x
        return x @ self.weight.T + self.bias

    def _backward(self, grad: Tensor) -> Tensor:
        self.gradients = {"weight": grad.T @ self.x, "bias": grad.sum(0)}
        return grad @ self.weight


class Elementwise(Operation):
    """An activation, or a sigmoid at the output: dL/dx = dL/dy * phi'(x)."""

    reach = "entry"

    def __init__(self, name: str, given: str, activation: Activation) -> None:
        super().__init__(name, f"{activation.name}({given})", f"dL/d{name} * {activation.name}'({given})")
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        self.x = x
        return self.activation.value(x)

    def _backward(self, grad: Tensor) -> Tensor:
        return grad * self.activation.slope(self.x)


class Normalization(Operation):
    """y = gamma u + beta with u = (x - mean) / s, s = sqrt(var + eps): mean and variance over the batch for each unit
    (BatchNorm, Ioffe & Szegedy 2015) or over the units for each sample (LayerNorm, Ba et al. 2016).

    With g = gamma dL/dy: dL/dx = (g - mean(g) - u mean(g u)) / s, the means over the same entries.

    Args:
        over: "batch" or "layer".
    """

    def __init__(
        self, name: str, given: str, gamma: Tensor, beta: Tensor, eps: float, over: Literal["batch", "layer"]
    ) -> None:
        u, s = f"u{name[1:]}", f"s{name[1:]}"
        where = "over the batch" if over == "batch" else "over each sample's units"
        derivative = f"(g - mean(g) - {u} mean(g {u})) / {s}, g = gamma dL/d{name}"
        formulas = {"weight": f"sum over samples of dL/d{name} * {u}", "bias": f"sum over samples of dL/d{name}"}
        super().__init__(
            name,
            f"gamma {u} + beta, {u} = ({given} - mean) / {s}, {s} = sqrt(var + eps), {where}",
            derivative,
            {"weight": gamma, "bias": beta},
            formulas,
        )
        self.gamma, self.beta, self.eps = gamma, beta, eps
        self.dim = 0 if over == "batch" else 1
        self.reach = "unit" if over == "batch" else "sample"

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean(self.dim, keepdim=True)
        self.scale = ((centred**2).mean(self.dim, keepdim=True) + self.eps) ** 0.5
        self.u = centred / self.scale
        return self.gamma * self.u + self.beta

    def _backward(self, grad: Tensor) -> Tensor:
        self.gradients = {"weight": (grad * self.u).sum(0), "bias": grad.sum(0)}
        g = self.gamma * grad
        mean, along = g.mean(self.dim, keepdim=True), (g * self.u).mean(self.dim, keepdim=True)
        return (g - mean - self.u * along) / self.scale


class Softmax(Operation):
    """p_i = e^(x_i) / sum_j e^(x_j) for each sample; dL/dx = p (dL/dp - sum_j p_j dL/dp_j)."""

    reach = "sample"

    def __init__(self, name: str, given: str) -> None:
        super().__init__(name, f"softmax({given})", f"p (dL/d{name} - sum over classes of p dL/d{name})")

    def forward(self, x: Tensor) -> Tensor:
        self.p = softmax(x)
        return self.p

    def _backward(self, grad: Tensor) -> Tensor:
        return self.p * (grad - (self.p * grad).sum(1, keepdim=True))


def softmax(x: Tensor) -> Tensor:
    """Softmax over the classes of each sample, without overflow."""
    e = torch.exp(x - x.amax(1, keepdim=True))
    return e / e.sum(1, keepdim=True)
