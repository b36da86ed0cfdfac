"""Weights that are computed from other parameters: parametrised, normalised, pruned ones."""

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from gradpath.flow.kinds import Layer


def parametrizations(layer: Layer) -> dict[str, nn.Module]:
    """The modules that compute the layer's weights, by attribute: what they return at a call is what `forward` uses."""
    found = {}
    for attribute in layer.weights:
        owner, last = owner_of(layer.module, attribute)
        if is_parametrized(owner, last):
            found[attribute] = owner.get_submodule(f"parametrizations.{last}")
    return found


def computed_before(layer: Layer) -> dict[str, Tensor]:
    """The weights that a hook computed before the layer's latest call, by attribute.

    `torch.nn.utils.spectral_norm`, `weight_norm` and `prune` leave them as plain attributes.
    """
    found = {}
    for attribute in layer.weights:
        owner, last = owner_of(layer.module, attribute)
        weight = vars(owner).get(last)
        if isinstance(weight, Tensor):
            found[attribute] = weight
    return found


@torch.no_grad()
def computed(layer: Layer) -> dict[str, Tensor]:
    """The layer's weights as `forward` would use them now, by attribute, without a trace.

    Reading a parametrised attribute is not free of consequences: spectral normalisation makes a step of its power iteration
    while it trains. Here it works on copies of its buffers, and the generators are put back. What the older
    `torch.nn.utils.spectral_norm`, `weight_norm` and `prune` compute is that of the last call.
    """
    return {attribute: _computed(layer.module, attribute).detach() for attribute in layer.weights}


def owner_of(module: nn.Module, attribute: str) -> tuple[nn.Module, str]:
    """The module that has an attribute, and its name there. Scripted modules know no `get_submodule`, and need none."""
    path, _, last = attribute.rpartition(".")
    return (module.get_submodule(path) if path else module), last


def _computed(module: nn.Module, attribute: str) -> Tensor:
    owner, last = owner_of(module, attribute)
    if not is_parametrized(owner, last):
        found: Tensor = getattr(owner, last)
        return found
    parametrization = owner.get_submodule(f"parametrizations.{last}")
    parts = [(part, dict(part._buffers)) for part in parametrization.modules()]
    devices = sorted({p.device.index or 0 for p in parametrization.parameters() if p.is_cuda})
    with torch.random.fork_rng(devices):
        try:
            # It writes to copies. Autograd would refuse buffers that were written to, even if they were put back.
            for part, buffers in parts:
                part._buffers.update({name: None if b is None else b.clone() for name, b in buffers.items()})
            # Called as a function, so that nobody's hooks see it.
            found = parametrization.forward()
        finally:
            for part, buffers in parts:
                part._buffers.update(buffers)
    return found
