"""The kinds of networks by name, each with inputs."""

from collections.abc import Callable

import torch
from torch import Tensor

from gradpath.studies.branching import (
    Adapted,
    Adversaries,
    Attention,
    Autoencoder,
    Computed,
    Convolutions,
    Dense,
    Mixture,
    Plain,
    Recurrent,
    ResidualConv,
    Reused,
    Tied,
    Towers,
    Transformer,
    UNet,
    Unrolled,
)
from gradpath.studies.ways_by_hand import Network


def tokens() -> Tensor:
    return torch.randint(10, (4, 7), generator=torch.Generator().manual_seed(2))


def normal(*shape: int) -> Callable[[], Tensor]:
    return lambda: torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


# Name -> how to make the network, how to make its inputs.
SIX: dict[str, tuple[Callable[[], Network], Callable[[], Tensor]]] = {
    "plain": (Plain, normal(5, 6)),
    "pre-norm transformer": (lambda: Transformer(True), tokens),
    "post-norm transformer": (lambda: Transformer(False), tokens),
    "residual conv net": (ResidualConv, normal(5, 1, 8, 8)),
    "two towers": (Towers, normal(5, 6)),
    "U-Net": (UNet, normal(3, 1, 8, 8)),
}

MORE: dict[str, tuple[Callable[[], Network], Callable[[], Tensor]]] = {
    **SIX,
    "recurrent": (lambda: Recurrent(True), tokens),
    "recurrent, time first": (lambda: Recurrent(False), tokens),
    "vision transformer": (Attention, normal(5, 1, 8, 8)),
    "dense convolutions": (Dense, normal(5, 1, 9)),
    "mixture of experts": (Mixture, normal(5, 6)),
    "tied weights": (Tied, tokens),
    "reused layer": (Reused, normal(5, 6)),
    "low-rank adapters": (Adapted, normal(5, 6)),
    "computed weights": (Computed, normal(5, 6)),
    "convolutions": (lambda: Convolutions(False), normal(5, 1, 8, 8)),
    "convolutions with BatchNorm": (lambda: Convolutions(True), normal(5, 1, 8, 8)),
    "a layer over time": (Unrolled, normal(5, 12, 3)),
    "autoencoder": (Autoencoder, normal(5, 6)),
    "generator and discriminator": (Adversaries, normal(5, 6)),
}


def made(name: str, seed: int = 0) -> tuple[Network, Tensor]:
    """The network in float64, the same at each call, with its inputs."""
    maker, inputs = MORE[name]
    torch.manual_seed(seed)
    return maker().double(), inputs()
