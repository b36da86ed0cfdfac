"""The size of the gradient at every layer's output and at every station on its way, in any network, pass by pass.

A hook on all forward calls leaves a mark on autograd's node of a layer's output. When a backward pass begins, the graph is
walked from its roots, the marks in it are found, the ways are read from it, and hooks are hung on the nodes of the layers
and the stations. They are taken off when the pass is over. Nothing is left in the modules and nothing is kept between
passes, so copies, files and other passes know nothing of it. No tensor is changed or made to require a gradient.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook
from torch.utils.hooks import RemovableHandle

from gradpath.flow.backward import Pass, leave, listen, say
from gradpath.flow.kinds import Layer, layers, output_of
from gradpath.flow.norms import Scalar, square_sum
from gradpath.flow.ways import Graph, graph_of, stations, ways


@dataclass
class Seen:
    """What one backward pass showed.

    ways: for each first layer the names of the stations, first layer first. squares, entries: for every layer and station
    that the gradient reached, the sum of its squares and the number of its entries. A layer's second call in the pass is
    named `layer#2`. beside: for each station, the layers on branches between it and the one before.
    layers: the layer of each name; a station that is no layer's output has none.
    """

    ways: list[list[str]] = field(default_factory=list)
    squares: dict[str, Scalar] = field(default_factory=dict)
    entries: dict[str, int] = field(default_factory=dict)
    beside: dict[str, tuple[str, ...]] = field(default_factory=dict)
    layers: dict[str, Layer] = field(default_factory=dict)


@dataclass
class _Plan:
    """A pass that runs.

    firsts: the nodes of the first layers. targets: for each of them, the ways of `seen` that its stations stand on; several
    if the pass is nested in a node that several ways go through. calls: how often each layer has been met, in the passes
    nested in this one too.
    """

    seen: Seen
    graph: Graph
    firsts: list[Any]
    targets: list[list[list[str]]]
    calls: dict[Layer, int]


class Measuring:
    """Measures each backward pass through `model` between `attach` and `detach`.

    A derivative that gets a graph of its own (a gradient penalty) is not measured; the pass that goes through it is. Passes
    inside another one (reentrant checkpoints) are parts of it. An error while measuring is said once and ends the measuring,
    never the training.

    Args:
        model: any module. Its frozen layers are not measured.
        on_pass: called after each pass that reached a layer.
    """

    def __init__(self, model: nn.Module, on_pass: Callable[[Seen], None]) -> None:
        self.layers = {layer.module: layer for layer in layers(model)}
        self.on_pass = on_pass
        self.handle: RemovableHandle | None = None
        # The key of the marks, one for each `Measuring`; the kinds of nodes that carry one; the number of the next mark.
        self.key, self.kinds, self.numbers = object(), set[type](), itertools.count()
        self.plans: dict[Pass, _Plan] = {}
        self.failed = False
        self.last: dict[str, Scalar] = {}

    def attach(self) -> None:
        """Starts to measure, unless measuring has failed before."""
        if self.handle is None and not self.failed:
            self.handle = register_module_forward_hook(self._on_forward)
            listen(self._on_backward)

    def detach(self) -> None:
        """Ends the measuring, but not that of a pass that runs."""
        if self.handle is not None:
            self.handle.remove()
            self.handle = None
            leave(self._on_backward)

    def _on_forward(self, module: nn.Module, args: Any, outputs: Any) -> None:
        layer = self.layers.get(module)
        if layer is None or torch.compiler.is_compiling() or not torch.is_grad_enabled():
            return
        try:
            found = output_of(outputs) if layer.trains else None
            if found is not None and found.grad_fn is not None:
                node: Any = found.grad_fn
                node.metadata[self.key] = layer, next(self.numbers)
                self.kinds.add(type(node))
        except Exception as error:
            self._give_up(layer.name, error)

    def _on_backward(self, told: Pass) -> Callable[[], None] | None:
        if told.create_graph and not told.accumulates:
            return None
        outer = self.plans.get(told.outer) if told.outer else None
        seen, calls = (outer.seen, outer.calls) if outer else (Seen(), {})
        graph = graph_of(told.roots)
        marked = self._marked(graph.nodes, calls)
        names = {node: name for node, (name, _) in marked.items()}
        seen.layers |= dict(marked.values())
        found = ways(graph, names, _is_wide)
        targets = self._targets(seen, [[station.name for station in way] for way in found], outer)
        self.plans[told] = _Plan(seen, graph, [way[0].node for way in found], targets, calls)
        stops = {station.node: station for way in found for station in way}
        seen.beside |= {station.name: station.branch for station in stops.values()}
        handles = [
            node.register_prehook(partial(self._on_gradient, seen, name))
            for node, name in ({node: station.name for node, station in stops.items()} | names).items()
        ]
        return partial(self._finish, told, handles)

    def _marked(self, nodes: list[Any], calls: dict[Layer, int]) -> dict[Any, tuple[str, Layer]]:
        """The marked nodes with their names and layers."""
        # Asking a node for its metadata makes some.
        marks = [(node, node.metadata.get(self.key)) for node in nodes if type(node) in self.kinds]
        found = {}
        for node, (layer, _) in sorted((pair for pair in marks if pair[1]), key=lambda pair: pair[1][1]):
            calls[layer] = calls.get(layer, 0) + 1
            name = layer.name or "model"
            found[node] = (name if calls[layer] == 1 else f"{name}#{calls[layer]}", layer)
        return found

    def _targets(self, seen: Seen, names: list[list[str]], outer: _Plan | None) -> list[list[list[str]]]:
        """Adds the ways of a pass: a nested one's to those of the outer pass that go through the node that began it."""
        through: list[list[str]] = []
        if outer:
            node: Any = torch._C._current_autograd_node()
            for first, targets in zip(outer.firsts, outer.targets, strict=True):
                if node in stations(outer.graph, first):
                    through += [target for target in targets if not any(target is one for one in through)]
        found = []
        for way in names:
            if through:
                for target in through:
                    target += way
            else:
                seen.ways.append(way)
            found.append(through or [way])
        return found

    def _on_gradient(self, seen: Seen, name: str, gradients: tuple[Tensor | None, ...]) -> None:
        if self.failed:
            return
        try:
            for gradient in gradients:
                if gradient is not None:
                    values = torch.view_as_real(gradient) if gradient.is_complex() else gradient
                    square = square_sum(values, self.last.get(name, 1.0))
                    # In the order in which the gradient arrives.
                    seen.squares[name] = seen.squares.get(name, 0.0) + square
                    seen.entries[name] = seen.entries.get(name, 0) + gradient.numel()
            self.last[name] = seen.squares.get(name, 1.0)
        except Exception as error:
            self._give_up(name, error)

    def _finish(self, told: Pass, handles: list[RemovableHandle]) -> None:
        for handle in handles:
            handle.remove()
        plan = self.plans.pop(told)
        if told.outer in self.plans or not plan.seen.squares or self.failed:
            return
        # What was reached last comes first. A pass that is confined to some inputs does not reach every station.
        arrival = {name: index for index, name in enumerate(plan.seen.squares)}
        found = [sorted((n for n in way if n in arrival), key=arrival.__getitem__, reverse=True) for way in plan.seen.ways]
        plan.seen.ways = [way for way in found if way]
        self.on_pass(plan.seen)

    def _give_up(self, name: str, error: Exception) -> None:
        self.failed = True
        self.detach()
        say(f"gradpath: {name} could not be measured, so the measuring has ended: {type(error).__name__}: {error}")


def _is_wide(node: Any) -> bool:
    """Whether a node has more than one number to hand on. A sum of losses has one."""
    shapes = [tuple(one.shape) for one in getattr(node, "_input_metadata", [])]
    return not shapes or any(prod(shape) > 1 for shape in shapes)
