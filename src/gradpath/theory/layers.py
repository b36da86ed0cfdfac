"""What theory needs to know of a network's layers."""

from dataclasses import dataclass
from typing import Literal, Protocol


class Layer(Protocol):
    """What theory reads from a hidden layer: a row of a measured profile or a `Scale`."""

    @property
    def layer(self) -> str: ...
    @property
    def width(self) -> int: ...
    @property
    def sigma_w2(self) -> float: ...
    @property
    def sigma_b2(self) -> float: ...


@dataclass(frozen=True)
class Scale:
    """A layer whose weights are not drawn yet: its name, units, sigma_w^2 and sigma_b^2."""

    layer: str
    width: int
    sigma_w2: float
    sigma_b2: float


@dataclass(frozen=True)
class Norm:
    """A normalisation with gain 1 and shift 0, over the batch or a layer's units, before or after the activation."""

    kind: Literal["batch", "layer"]
    placement: Literal["before", "after"]
