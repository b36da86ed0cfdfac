"""Places in the graph of a forward pass at which the gradient is measured, and what a backward pass showed of them."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import reduce
from math import inf
from typing import Any

from torch import Tensor

from gradpath.flow.kinds import Layer
from gradpath.flow.norms import Scalar, plus, square_sum


@dataclass(slots=True)
class Arrived:
    """The gradient at one tensor.

    square: the sum of its squares. entries: how many it has. held: itself, while it is needed.
    """

    square: Scalar
    entries: int
    held: list[Tensor] | None


@dataclass(eq=False, slots=True)
class Place:
    """A place in the graph of one forward pass at which the gradient is measured.

    layer: whose output it is; None where branches join. number: in the order of the forward calls. samples: in the input of
    the model's call; None outside one. rows: the size of the output's first dimension. name: as in the pass, where the
    layer's second call is named `layer#2`. arrived: the gradient at each tensor of the output that one has reached: an
    `nn.LSTM` returns all states and the last ones. call: arguments of a recurrent layer, which is run once more when the
    pass is over; so long the gradients are kept.
    inputs, taken: the sum of squares of data that came into the layer, and how many numbers they were.
    seen: whatever the one who is told of the call keeps here.
    """

    layer: Layer | None
    number: float
    rows: int = 1
    samples: int | None = None
    name: str = ""
    arrived: dict[int, Arrived] = field(default_factory=dict)
    call: Any = None
    inputs: Scalar | None = None
    taken: int = 0
    seen: Any = None

    @property
    def square(self) -> Scalar | None:
        """The sum of the gradient's squares; None before one has come."""
        return reduce(plus, (one.square for one in self.arrived.values())) if self.arrived else None

    @property
    def entries(self) -> int:
        """How many numbers the gradient has."""
        return sum(one.entries for one in self.arrived.values())

    def look_at(self, given: Iterable[Any]) -> None:
        """Squares what comes into the layer from outside: numbers that need no gradient."""
        for one in given:
            if isinstance(one, Tensor) and not one.requires_grad and (one.is_floating_point() or one.is_complex()):
                square = square_sum(one.detach())
                if one.is_cpu and square == inf and _is_mask(one):
                    continue
                self.inputs = square if self.inputs is None else plus(self.inputs, square)
                self.taken += one.numel()

    def take(self, part: int, gradients: list[Tensor], keeps: bool, expected: Scalar) -> None:
        """Adds the gradient that a pass brings to one tensor of the output.

        Args:
            keeps: another pass may come through the same graph. expected: what the sum of squares is likely to be.
        """
        before = self.arrived.get(part)
        if before and before.held is not None and len(before.held) == len(gradients):
            # The gradient of a step is the sum over its passes.
            gradients = [one + other for one, other in zip(before.held, gradients, strict=True)]
        square: Scalar = square_sum(gradients[0], expected)
        for gradient in gradients[1:]:
            square += square_sum(gradient, expected)
        held = gradients if keeps or self.call is not None else None
        self.arrived[part] = Arrived(square, sum(gradient.numel() for gradient in gradients), held)


def _is_mask(values: Tensor) -> bool:
    """Whether it is a mask to be added to attention's scores: -inf and zeros."""
    return not values.is_complex() and bool(((values == 0) | (values == -inf)).all())


@dataclass(eq=False, slots=True)
class Seen:
    """What one backward pass showed, and the passes inside it.

    places: those that the gradient reached, in the order in which it came. ways: for each first layer the stations, first
    layer first. firsts: all calls of each first layer that lead to no other layer. chosen: they were not found, but named
    by the user. beside: for each station, by name, the layers on branches between it and the one before. inner: the last
    stations of ways behind which there are other layers yet. keeps: the graph may be run again. losses: the numbers from
    which the pass begins. outputs: the sum of squares of what the layer returned that was called last, if it was looked at.
    doubled: an activation that the loss applies again.
    """

    keeps: bool = False
    places: dict[Place, None] = field(default_factory=dict)
    ways: list[list[Place]] = field(default_factory=list)
    firsts: dict[Layer | None, list[Place]] = field(default_factory=dict)
    chosen: bool = False
    beside: dict[str, tuple[str, ...]] = field(default_factory=dict)
    inner: set[str] = field(default_factory=set)
    losses: list[Scalar] = field(default_factory=list)
    outputs: Scalar | None = None
    doubled: str | None = None

    @property
    def samples(self) -> int:
        """The number of samples that went through: those of the model's input, else the rows of the first layer."""
        first = min(self.places, key=lambda place: place.number)
        return first.samples if first.samples is not None else first.rows

    def order(self) -> None:
        """Orders the stations of each way: what was reached last comes first.

        A pass that is confined to some inputs does not reach every station.
        """
        if self.chosen:
            self.ways = [sorted((place for place in self.places if place.layer is None), key=lambda place: place.number)]
        arrival = {place: index for index, place in enumerate(self.places)}
        found = [sorted((p for p in way if p in arrival), key=arrival.__getitem__, reverse=True) for way in self.ways]
        self.ways = [way for way in found if way]


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
