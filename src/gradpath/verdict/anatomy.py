"""What a network is made of, as far as it matters to gradients."""

from dataclasses import dataclass

import torch
from torch import nn

from gradpath.activations import Function
from gradpath.flow.saturation import is_activation
from gradpath.theory.quadrature import in_float64

NORMS = {nn.modules.batchnorm._BatchNorm: "BatchNorm", nn.LayerNorm: "LayerNorm", nn.RMSNorm: "RMSNorm"}


@dataclass(frozen=True)
class Anatomy:
    """What a network is made of, as far as it matters to gradients.

    activation: that of the hidden layers, in float64 on the CPU. It is None if no activation module was found (there is
        none, or it is a function called in `forward`), or if it takes only inputs of a certain shape.
    norm: "BatchNorm", "LayerNorm", "RMSNorm" or None.
    after: whether the normalisation comes after the activation.
    name: the activation's name.
    """

    activation: nn.Module | None = None
    norm: str | None = None
    after: bool = False
    name: str = "its activation"


def anatomy(model: nn.Module) -> Anatomy:
    """The anatomy of any module with Linear layers."""
    modules = list(model.modules())
    activation = next((module for module in modules if is_activation(module)), None)
    norm = next((module for module in modules if isinstance(module, tuple(NORMS))), None)
    name = next((name for kind, name in NORMS.items() if isinstance(norm, kind)), None)
    after = activation is not None and norm is not None and modules.index(activation) < modules.index(norm)
    if activation is None:
        return Anatomy(None, name, after)
    title = activation.name if isinstance(activation, Function) else type(activation).__name__
    return Anatomy(_for_theory(activation), name, after, title)


def _for_theory(activation: nn.Module) -> nn.Module | None:
    """A copy for theory's integrals; None if the activation does not take vectors of any length (PReLU per unit)."""
    copy = in_float64(activation)
    try:
        copy(torch.zeros(3, dtype=torch.float64))
    except (RuntimeError, ValueError):
        return None
    return copy
