"""The activations by name: what `mean_field("tanh", ...)` and the options of conf/activation/ mean."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from gradpath.errors import ConfigError, nearest


class Function(nn.Module):
    """An activation given as a function on tensors, such as `torch.erf`."""

    def __init__(self, function: Callable[[Tensor], Tensor], name: str) -> None:
        super().__init__()
        self.function, self.name = function, name

    def forward(self, h: Tensor) -> Tensor:
        return self.function(h)

    def extra_repr(self) -> str:
        return self.name


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "identity": nn.Identity,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "softplus": nn.Softplus,
    "mish": nn.Mish,
    "hardtanh": nn.Hardtanh,
    "erf": lambda: Function(torch.erf, "torch.erf"),
}


def activation(name: str) -> nn.Module:
    """A fresh module, with the parameters that the option of this name has.

    Raises:
        ConfigError: there is no such activation; names the nearest.
    """
    if name not in ACTIVATIONS:
        raise ConfigError(
            f"activation={name}: no such option.{nearest(name, ACTIVATIONS)} There are {', '.join(ACTIVATIONS)}."
        )
    return ACTIVATIONS[name]()
