"""The way of the gradient: the places in autograd's graph through which all of it passes, from the loss to a first layer.

|delta| is comparable between such places only. In a plain network they are the pre-activations. In a residual network or
a transformer they are the stream between the blocks, and a block's layers hang beside the way, on a branch.

Nothing here needs torch. A node is any hashable object with `next_functions`, as autograd's nodes have it. The graph is
walked without recursion, because it may be deeper than Python's stack. A `Graph` keeps every node alive that it holds; drop
it before the training goes on.
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Protocol


class Node(Protocol):
    """What is needed of `torch.autograd.graph.Node`. `next_functions` are the nodes that it hands its gradient to."""

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]: ...

    def __hash__(self) -> int: ...


@dataclass(frozen=True)
class Graph:
    """The part of autograd's graph that some roots lead to.

    nodes: each before those that it leads to. following: for each node, the positions of those that it hands its gradient
    to; a position stands twice if two edges lead there. roots: the roots' positions, each once.
    """

    nodes: list[Any]
    following: list[list[int]]
    roots: list[int]

    @cached_property
    def position(self) -> dict[Any, int]:
        """The position of each node."""
        return {node: index for index, node in enumerate(self.nodes)}

    @cached_property
    def before(self) -> list[list[int]]:
        """For each node, the positions of those that hand it their gradients."""
        found: list[list[int]] = [[] for _ in self.nodes]
        for index, following in enumerate(self.following):
            for place in following:
                found[place].append(index)
        return found

    @cached_property
    def above(self) -> list[int]:
        """For each node, the position of the last one before it on every path from the roots; -1 if there is none.

        It is where the ways up from all nodes before it meet (Cooper, Harvey & Kennedy 2001). Along a way up positions
        fall, so the later of two places goes up until they are one.
        """
        found: list[int] = []
        roots = set(self.roots)
        for index, before in enumerate(self.before):
            meeting, *others = [-1] if index in roots else reversed(before)
            # The last comes first: of a thousand calls of one layer, each then goes up to the one before it only.
            for other in others:
                while meeting != other:
                    if meeting > other:
                        meeting = found[meeting]
                    else:
                        other = found[other]
            found.append(meeting)
        return found


@dataclass(frozen=True)
class Station:
    """A place on the way of the gradient.

    node: autograd's node; all of the gradient passes through its outputs.
    name: the layer whose output it is, else "`layer` +": the place where the branch that ends in `layer` joins the way.
    branch: the layers on branches between this station and the one before it, in the order of the forward pass.
    """

    node: Any
    name: str
    branch: tuple[str, ...] = ()


def graph_of(roots: Iterable[Node]) -> Graph:
    """The graph that `roots` lead to, in time linear in its size."""
    roots = list(dict.fromkeys(roots))
    leads: dict[Hashable, list[Any]] = {}
    order: list[Any] = []
    for root in roots:
        if root in leads:
            continue
        leads[root] = _following(root)
        stack = [(root, iter(leads[root]))]
        while stack:
            node, rest = stack[-1]
            for following in rest:
                if following not in leads:
                    leads[following] = _following(following)
                    stack.append((following, iter(leads[following])))
                    break
            else:
                order.append(node)
                stack.pop()
    order.reverse()
    position = {node: index for index, node in enumerate(order)}
    edges = [[position[following] for following in leads[node]] for node in order]
    return Graph(order, edges, sorted(position[root] for root in roots))


def first_layers(graph: Graph, marked: Collection[Any]) -> list[Any]:
    """The marked nodes that lead to no other marked node, in the order of the forward pass: the ends of the ways.

    Takes one pass, however many there are.
    """
    chosen = set(marked)
    leads = bytearray(len(graph.nodes))
    found = []
    for index in range(len(graph.nodes) - 1, -1, -1):
        below = any(leads[following] for following in graph.following[index])
        mark = graph.nodes[index] in chosen
        if mark and not below:
            found.append(graph.nodes[index])
        leads[index] = mark or below
    return found


def stations(graph: Graph, first: Node) -> list[Any]:
    """The nodes on every path from the roots to `first`, which is one of them, in the order of the gradient.

    Empty if no root leads to `first`. With several roots, only what all of their paths share counts.
    """
    return [graph.nodes[index] for index in reversed(_on_all_paths(graph, first))]


def way(
    graph: Graph,
    first: Node,
    marked: Mapping[Any, str],
    joins: Callable[[Any], bool] = lambda node: True,
    known: dict[int, Station | None] | None = None,
) -> list[Station]:
    """The way of the gradient to `first`, in the order of the forward pass, so `first` comes first.

    Of all nodes that every path goes through it keeps the outputs of layers, and the places where branches with layers
    join. The place where such branches divide is left out, because no layer lies between it and the station before it:
    both are one place of the stream, up to an activation or a normalisation. Where branches are stacked and then summed, the
    place is the stack, whose gradient is the sum's once for each branch.

    Args:
        marked: the layers' output nodes with the layers' names; `first` is one of them.
        joins: whether a node that is no layer's output may be a station. A sum of losses should not: the gradient there is
            1, whatever the network does.
        known: what was found on other ways through the graph, by the place that the gradient comes to next; it is added to.
    """
    known = {} if known is None else known
    places = _on_all_paths(graph, first)
    kept = [Station(first, marked[first])] if places and first in marked else []
    for following, place in pairwise(places):
        if following not in known:
            node, branch = graph.nodes[place], _branch(graph, place, following, marked)
            stays = node in marked or (branch and joins(node))
            known[following] = Station(node, marked.get(node) or f"{branch[-1]} +", branch) if stays else None
        station = known[following]
        if station:
            kept.append(station)
    return kept


def ways(
    graph: Graph,
    marked: Mapping[Any, str],
    joins: Callable[[Any], bool] = lambda node: True,
    choose: Callable[[list[Any]], list[Any]] = lambda firsts: firsts,
) -> list[list[Station]]:
    """The way to each first layer, in the order of the forward pass. What several ways share is looked at once.

    Args:
        choose: called with the first layers; returns those whose ways are wanted.
    """
    known: dict[int, Station | None] = {}
    return [way(graph, first, marked, joins, known) for first in choose(first_layers(graph, marked))]


def _following(node: Node) -> list[Any]:
    """The nodes that `node` hands its gradient to; those that need none are None."""
    return [following for following, _ in node.next_functions if following is not None]


def _on_all_paths(graph: Graph, first: Node) -> list[int]:
    """The positions on every path from the roots to `first`, from there on upwards."""
    index = graph.position.get(first, -1)
    found = []
    while index >= 0:
        found.append(index)
        index = graph.above[index]
    return found


def _branch(graph: Graph, place: int, following: int, marked: Mapping[Any, str]) -> tuple[str, ...]:
    """The layers between two neighbouring places, in the order of the forward pass.

    All paths meet again at the next place, so they are those that lead there.
    """
    waiting, seen = [following], {place}
    while waiting:
        for index in graph.before[waiting.pop()]:
            if index not in seen:
                seen.add(index)
                waiting.append(index)
    return tuple(marked[node] for index in sorted(seen - {place}, reverse=True) if (node := graph.nodes[index]) in marked)
