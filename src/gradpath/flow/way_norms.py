"""The size of the gradient along its ways, step by step, beside what the probe measures of the layers themselves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import nn

from gradpath.flow.kinds import Coverage, Layer, computed, coverage, layers
from gradpath.flow.measuring import Measuring, Seen
from gradpath.flow.norms import Scalar, gather
from gradpath.model.network import variance


class Scales(NamedTuple):
    """units: features or channels. sigma_w2, sigma_b2: fan_in * Var(W), Var(b)."""

    units: int
    sigma_w2: float
    sigma_b2: float


@dataclass
class Step:
    """What the backward passes of one step showed.

    ways: for each first layer the names of the stations, first layer first. squares: of the gradient at each station, summed
    over the passes. beside: the layers on branches between a station and the one before it.
    """

    ways: list[list[str]] = field(default_factory=list)
    squares: dict[str, Scalar] = field(default_factory=dict)
    beside: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def add(self, seen: Seen) -> None:
        self.ways += [way for way in seen.ways if way not in self.ways]
        self.beside |= seen.beside
        for name, square in seen.squares.items():
            self.squares[name] = self.squares.get(name, 0.0) + square

    @property
    def norms(self) -> dict[str, float]:
        """|gradient| at each station. Waits for a device."""
        return dict(zip(self.squares, (gather([*self.squares.values()]) ** 0.5).tolist(), strict=True))


class WayNorms:
    """Measures the ways of `model` while it is attached. Keeps the first and the last step that were measured.

    layers: those that a gradient reached in any pass, by name. scales: of each convolution, as it is now.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.first: Step | None = None
        self.last: Step | None = None
        self.layers: dict[str, Layer] = {}
        self.passes = 0
        self.scales = {layer.name: _scales(layer) for layer in layers(model) if _is_plain_convolution(layer)}
        self._step = Step()
        self._measuring = Measuring(model, self._on_pass)

    def attach(self) -> None:
        """Begins to measure the passes of a step."""
        self._measuring.attach()

    def detach(self) -> None:
        self._measuring.detach()
        self.forget()

    def forget(self) -> None:
        """Forgets the passes since the last step: their gradients were thrown away."""
        self._step = Step()

    def finish(self) -> None:
        """The passes since the last step were those of a step."""
        if self._step.ways:
            self.first, self.last = self.first or self._step, self._step
        self._step = Step()

    @property
    def coverage(self) -> Coverage:
        """What of the trainable weights belongs to layers that a gradient was seen to reach."""
        return coverage(self.model, self.layers.values())

    def _on_pass(self, seen: Seen) -> None:
        self.passes += 1
        reached: Mapping[str, Layer] = {name: layer for name, layer in seen.layers.items() if name in seen.squares}
        self.layers |= reached
        self._step.add(seen)


def _is_plain_convolution(layer: Layer) -> bool:
    """Whether a layer is a convolution with its one weight, and not with others of its own beside it (adapters)."""
    return layer.kind == "convolution" and [*layer.weights] == ["weight"]


def _scales(layer: Layer) -> Scales:
    weight = computed(layer)["weight"]
    bias = [parameter for several in layer.biases.values() for parameter in several]
    units, _, fan_in, _ = layer.sizes
    assert units is not None
    assert fan_in is not None
    return Scales(units, fan_in * variance(weight), variance(bias[0]) if bias else 0.0)
