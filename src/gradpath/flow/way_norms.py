"""The size of the gradient along its ways, step by step, beside what the probe measures of the layers themselves."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import reduce

import numpy as np
from torch import nn

from gradpath.flow.in_time import InTime
from gradpath.flow.kinds import Coverage, Layer, coverage
from gradpath.flow.norms import Scalar, gather, plus
from gradpath.flow.places import Place, Seen

# A layer that begins at zero has moved after so many measured steps.
EARLY = 10
# The class is read from a later step if the first one saw less than this share of what that one sees.
MUCH = 0.9


@dataclass
class Step:
    """What the backward passes of one step showed.

    ways: for each first layer the names of the stations, first layer first, with the squares of the gradient at each, summed
    over the passes. beside: the layers on branches between a station and the one before it.
    chosen: the user has named the stations, and the output layer is none of them. inner: last stations that are none.
    entries: how many weights the layers have that a gradient reached. number: the step's.
    """

    ways: dict[tuple[str, ...], list[Scalar]] = field(default_factory=dict)
    beside: dict[str, tuple[str, ...]] = field(default_factory=dict)
    chosen: bool = False
    inner: set[str] = field(default_factory=set)
    entries: int = 0
    number: int = 0

    def add(self, seen: Seen) -> None:
        self.beside |= seen.beside
        self.inner |= seen.inner
        self.chosen |= seen.chosen
        for names, squares in _ways(seen):
            if names in self.ways:
                squares = [one + other for one, other in zip(self.ways[names], squares, strict=True)]
            if names:
                self.ways[names] = squares

    def norms(self) -> list[tuple[list[str], list[float]]]:
        """For each way the names of its stations and |gradient| at each. Waits for a device."""
        numbers = gather([square for squares in self.ways.values() for square in squares]) ** 0.5
        ends = np.cumsum([len(names) for names in self.ways])[:-1]
        return [([*names], part.tolist()) for names, part in zip(self.ways, np.split(numbers, ends), strict=True)]

    def has_gradient(self) -> bool:
        """Whether a gradient arrived at every first layer. Waits for a device."""
        return all(norms[0] != 0 for _, norms in self.norms())


def _entries(layers: Collection[Layer]) -> int:
    return sum(parameter.numel() for layer in layers for several in layer.weights.values() for parameter in several)


def _ways(seen: Seen) -> Iterator[tuple[tuple[str, ...], list[Scalar]]]:
    """Each way's names and squares. A first layer that is called at many time steps has one way, and the gradient of all."""
    ways = [[p for p in _without_time(way) if p in seen.places and p.square is not None] for way in seen.ways]
    begins: dict[Layer | None, list[list[Place]]] = {}
    for way in filter(None, ways):
        begins.setdefault(way[0].layer, []).append(way)
    for layer, several in begins.items():
        # A cell's first call is the oldest time step, behind all others.
        calls = [place for place in seen.places if place.layer is layer] if layer and layer.kind == "cell" else []
        firsts = [place for place in dict.fromkeys(calls or seen.firsts.get(layer, [])) if place.square is not None]
        if layer is None or len(firsts) < 2:
            for way in several:
                yield tuple(place.name for place in way), [place.square for place in way if place.square is not None]
            continue
        shared = [place for place in several[0][1:] if all(place in way for way in several)]
        total = _sum(place.square for place in firsts if place.square is not None)
        rest = [place.square for place in shared if place.square is not None]
        yield (layer.name or "model", *(place.name for place in shared)), [total, *rest]


def _without_time(way: list[Place]) -> list[Place]:
    """Of all calls of a cell the last one: a loop of cells is one place of the depth, as an `nn.LSTM` is."""
    last: dict[Layer | None, Place] = {place.layer: place for place in way if place.layer and place.layer.kind == "cell"}
    return [place for place in way if last.get(place.layer, place) is place]


def _sum(squares: Iterable[Scalar]) -> Scalar:
    return reduce(plus, squares)


class WayNorms:
    """Keeps the first step that showed a gradient, and the last one.

    layers: those that a gradient reached in any pass. passes: how many passes reached one.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.first: Step | None = None
        self.last: Step | None = None
        self.layers: dict[str, Layer] = {}
        self.passes = 0
        self.found, self.steps = False, 0
        self.in_time = InTime()

    def after_pass(self, seen: Seen, samples: int | None, followed: bool) -> None:
        """A pass is over. `samples` went through it, or as many as it shows."""
        self.passes += 1
        if followed:
            self.in_time.look_at(seen, samples or seen.samples)

    def add(self, passes: Collection[Seen], followed: bool, number: int, factor: float) -> list[Place]:
        """The passes were those of the step `number`, along which the ways were followed or not.

        Args:
            factor: as for `InTime.end`.

        Returns the stations that are no layers' outputs.
        """
        self.in_time.end(number, factor, passes)
        self.layers |= {place.layer.name: place.layer for seen in passes for place in seen.places if place.layer}
        step = Step(entries=_entries({p.layer for seen in passes for p in seen.places if p.layer}), number=number)
        for seen in passes if followed else ():
            step.add(seen)
        if not step.ways:
            return []
        self.last = step
        if self.first and step.entries * MUCH > self.first.entries:
            # Much is trained now that was not: the first step says nothing of it.
            self.found, self.steps = False, 0
        if not self.found and self.steps < EARLY:
            # Behind a layer of zeros there is no gradient, and then a small one, until that layer has moved.
            self.first, self.steps = step, self.steps + 1
            self.found = self.steps == 1 and step.has_gradient()
        joins = {place.name: place for seen in passes for place in seen.places if place.layer is None}
        return sorted(joins.values(), key=lambda place: place.number)

    @property
    def coverage(self) -> Coverage:
        """What of the trainable weights belongs to layers that a gradient was seen to reach."""
        return coverage(self.model, self.layers.values())
