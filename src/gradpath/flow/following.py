"""The ways of a backward pass that is about to run, found from the marks that layers left on autograd's nodes."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

from torch import Tensor
from torch.utils.hooks import RemovableHandle

from gradpath.flow.kinds import Layer
from gradpath.flow.places import Place, Seen
from gradpath.flow.private_torch import node_that_runs, shapes_of_outputs
from gradpath.flow.ways import Graph, Node, Station, graph_of, stations, ways

# Of a layer with more calls than this, the ways to the first and the last are followed.
MANY = 4
# The loss's part in autograd's graph, and the activations that it holds already.
TWICE = (
    # Not log-softmax: of itself it is itself.
    ("LogSoftmaxBackward0", ("SoftmaxBackward0",)),
    ("BinaryCrossEntropyWithLogitsBackward0", ("SigmoidBackward0",)),
)
VIEWS = (
    *("View", "UnsafeView", "ReshapeAlias", "Transpose", "Permute", "Squeeze", "Unsqueeze", "Slice", "ToCopy"),
    *("Select", "Index", "Unbind", "Split", "Expand", "Clone", "Alias"),
)


class Marks:
    """Places, kept in the metadata of autograd's nodes, where nothing but their graph holds them."""

    def __init__(self) -> None:
        # Asking a node for its metadata makes some, so only the kinds of nodes that carry a mark are asked.
        self.kinds: set[type] = set()

    def put(self, node: Any, place: Place) -> None:
        node.metadata[self] = place
        self.kinds.add(type(node))

    def get(self, node: Any) -> Place | None:
        place: Place | None = node.metadata.get(self) if type(node) in self.kinds else None
        return place


@dataclass(eq=False)
class Plan:
    """A pass that runs. Its seen is None if it is not measured.

    firsts: the nodes of the first layers. targets: for each of them, the ways of `seen` that its stations stand on; several
    if the pass is nested in a node that several ways go through. calls: how often each layer has been met, in the passes
    nested in this one too.
    """

    seen: Seen | None
    graph: Graph | None = None
    firsts: list[Any] = field(default_factory=list)
    targets: list[list[list[Place]]] = field(default_factory=list)
    calls: dict[Layer, int] = field(default_factory=dict)


def follow(
    roots: Iterable[Node],
    plan: Plan,
    outer: Plan | None,
    marks: Marks,
    hook: Callable[[Any, Place], RemovableHandle],
    met: Callable[[Graph], None] = lambda graph: None,
) -> list[RemovableHandle]:
    """Reads the ways of a pass from its graph, into `plan.seen`.

    Args:
        outer: the plan of the pass that this one is part of. hook: called with each station that is no layer's output, so
            that it is measured too. Its handles are returned. met: called with the graph, to put more marks there.
    """
    seen = plan.seen
    assert seen
    plan.graph = graph_of(roots)
    met(plan.graph)
    marked = _marked(plan.graph.nodes, plan.calls, marks)
    names = {node: place.name for node, place in marked.items()}
    found = ways(plan.graph, names, _is_wide, lambda firsts: _outermost(firsts, marked, seen.firsts))
    joins, handles = _joins(marked, {station.node: station for way in found for station in way}, marks, hook)
    at = {**marked, **joins}
    seen.beside |= {station.name: station.branch for way in found for station in way}
    seen.doubled = seen.doubled or _doubled(plan.graph)
    if not outer:
        seen.inner |= _inner(plan.graph, marked, [way[-1] for way in found])
    plan.firsts = [way[0].node for way in found]
    plan.targets = _targets(seen, [[at[station.node] for station in way] for way in found], outer)
    return handles


def node_of(output: Tensor, place: Place) -> tuple[Any, int]:
    """The node at which the gradient of a layer's output is measured, and which of the node's outputs it is."""
    if place.layer and place.layer.kind == "recurrent":
        # What is kept of it is used at the output itself, in its own shape.
        return output.grad_fn, output.output_nr
    return source_of(output)


def source_of(output: Tensor) -> tuple[Any, int]:
    """The node that made the numbers of a layer's output, and which of the node's outputs they are.

    Where the output is another view of a whole tensor (`nn.Linear` on three dimensions), it is the node of that tensor: one
    that changes the view in place (`nn.ReLU(inplace=True)`, `y += x`) takes the view's own node out of the graph.
    """
    base = getattr(output, "_base", None)
    if base is not None and base.grad_fn is not None and base.numel() == output.numel():
        node: Any = output.grad_fn
        # Between them must lie nothing but views: a function of the user's own may do anything to a gradient.
        while node is not base.grad_fn and type(node).__name__.startswith(VIEWS) and len(node.next_functions) == 1:
            node = node.next_functions[0][0]
        if node is base.grad_fn:
            return node, base.output_nr
    return output.grad_fn, output.output_nr


def _inner(graph: Graph, marked: Mapping[Any, Place], lasts: Iterable[Station]) -> set[str]:
    """The last stations of ways that are no output layer: other layers lie between them and the roots, as heads do."""
    above = bytearray(len(graph.nodes))
    for index, node in enumerate(graph.nodes):
        for following in graph.following[index]:
            above[following] |= above[index] or node in marked
    wanted = {station.node: station.name for station in lasts}
    return {wanted[node] for index, node in enumerate(graph.nodes) if node in wanted and above[index]}


def leads_to(roots: Iterable[Node], parameters: Collection[int]) -> bool:
    """Whether a pass from these roots comes to one of the parameters, given by their ids."""
    return any(id(getattr(node, "variable", None)) in parameters for node in graph_of(roots).nodes)


def _marked(nodes: Iterable[Any], calls: dict[Layer, int], marks: Marks) -> dict[Any, Place]:
    """The layers' nodes with their places, which get their names in the pass."""
    # Where branches join there is a mark too, if the graph is run again.
    pairs = [(node, place) for node in nodes if (place := marks.get(node)) and place.layer]
    # Each once: an output of several tensors has several nodes.
    for place in sorted(dict.fromkeys(place for _, place in pairs), key=lambda place: place.number):
        assert place.layer
        calls[place.layer] = calls.get(place.layer, 0) + 1
        name = place.layer.name or "model"
        place.name = name if calls[place.layer] == 1 else f"{name}#{calls[place.layer]}"
    return dict(pairs)


def _outermost(firsts: Iterable[Any], marked: Mapping[Any, Place], places: dict[Layer | None, list[Place]]) -> list[Any]:
    """Of many calls of a layer the first and the last: an embedding that is called at each of a thousand time steps.

    Args:
        places: all of them are added to it.
    """
    calls: dict[Layer | None, list[Any]] = {}
    for first in firsts:
        layer = marked[first].layer
        calls.setdefault(layer, []).append(first)
        places.setdefault(layer, []).append(marked[first])
    ends = {layer: {several[0], several[-1]} if len(several) > MANY else {*several} for layer, several in calls.items()}
    return [first for layer, several in calls.items() for first in several if first in ends[layer]]


def _joins(
    marked: Mapping[Any, Place],
    stops: Mapping[Any, Station],
    marks: Marks,
    hook: Callable[[Any, Place], RemovableHandle],
) -> tuple[dict[Any, Place], list[RemovableHandle]]:
    """The places of the stations that are no layers' outputs. In a graph that is run again they are found again."""
    numbers = {place.name: place.number for place in marked.values()}
    found: dict[Any, Place] = {}
    handles = []
    for node, station in stops.items():
        if node not in marked:
            place = marks.get(node)
            if place is None:
                place = Place(None, numbers[station.branch[-1]] + 0.5, name=station.name)
                marks.put(node, place)
            found[node] = place
            handles.append(hook(node, place))
    return found, handles


def _targets(seen: Seen, found: list[list[Place]], outer: Plan | None) -> list[list[list[Place]]]:
    """Adds the ways of a pass: a nested one's to those of the outer pass that go through the node that began it."""
    through: list[list[Place]] = []
    if outer and outer.graph:
        node: Any = node_that_runs()
        for first, targets in zip(outer.firsts, outer.targets, strict=True):
            if node in stations(outer.graph, first):
                through += [target for target in targets if not any(target is one for one in through)]
    all_targets = []
    for way in found:
        if through:
            for target in through:
                target += way
        else:
            seen.ways.append(way)
        all_targets.append(through or [way])
    return all_targets


def _doubled(graph: Graph) -> str | None:
    """The activation that is applied once more by the loss that follows it."""
    names = [type(node).__name__ for node in graph.nodes]
    for loss, activation in TWICE:
        for index, name in enumerate(names):
            below = graph.following[index]
            # Views lie between them.
            while name == loss and len(below) == 1 and names[below[0]].startswith(VIEWS):
                below = graph.following[below[0]]
            if name == loss and any(names[one] in activation for one in below):
                return "softmax" if loss == "LogSoftmaxBackward0" else "sigmoid"
    return None


def _is_wide(node: Any) -> bool:
    """Whether a node has more than one number to hand on. A sum of losses has one."""
    shapes = shapes_of_outputs(node)
    return not shapes or any(prod(shape) > 1 for shape in shapes)
