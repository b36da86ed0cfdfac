"""Places in the graph of a forward pass at which the gradient is measured, and what a backward pass showed of them."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from gradpath.flow.kinds import Layer
from gradpath.flow.norms import Scalar


@dataclass(eq=False, slots=True)
class Place:
    """A place in the graph of one forward pass at which the gradient is measured.

    layer: whose output it is; None where branches join. number: in the order of the forward calls. samples: in the input of
    the model's call; None outside one. rows: the size of the output's first dimension. name: as in the pass, where the
    layer's second call is named `layer#2`. square: the sum of the gradient's squares, None before one has come.
    entries: how many the gradient has. held: the gradient itself, while another pass may come through the same graph.
    inputs, taken: the sum of squares of data that came into the layer, and how many numbers they were.
    seen: whatever the one who is told of the call keeps here.
    """

    layer: Layer | None
    number: float
    rows: int = 1
    samples: int | None = None
    name: str = ""
    square: Scalar | None = None
    entries: int = 0
    held: list[Tensor] | None = None
    inputs: Scalar | None = None
    taken: int = 0
    seen: Any = None


@dataclass(eq=False, slots=True)
class Seen:
    """What one backward pass showed, and the passes inside it.

    places: those that the gradient reached, in the order in which it came. ways: for each first layer the stations, first
    layer first. chosen: they were not found, but named by the user. beside: for each station, by name, the layers on
    branches between it and the one before. keeps: the graph may be run again. losses: the numbers from which the pass
    begins. outputs: the sum of squares of what the layer returned that was called last, if it was looked at. stale: the pass
    added to gradients that an optimiser had already used; None if nobody knows. doubled: an activation that the loss
    applies again.
    """

    keeps: bool = False
    places: dict[Place, None] = field(default_factory=dict)
    ways: list[list[Place]] = field(default_factory=list)
    chosen: bool = False
    beside: dict[str, tuple[str, ...]] = field(default_factory=dict)
    losses: list[Scalar] = field(default_factory=list)
    outputs: Scalar | None = None
    stale: bool | None = None
    doubled: str | None = None

    @property
    def first(self) -> Place:
        """The place that was made first."""
        return min(self.places, key=lambda place: place.number)


def in_step(passes: Collection[Seen]) -> Iterator[tuple[Seen, bool]]:
    """The passes of a step, each with whether it belongs to a batch of its own.

    A pass that goes through places of an earlier one comes from another loss of the same forward pass.
    """
    known: set[Place] = set()
    for seen in passes:
        if not seen.places:
            # Its gradients were thrown away.
            continue
        yield seen, known.isdisjoint(seen.places)
        known.update(seen.places)
