"""The way of the gradient: the places in autograd's graph through which all of it passes, from the loss to a first layer.

|delta| is comparable between such places only. In a plain network they are the pre-activations. In a residual network or
a transformer they are the stream between the blocks, and a block's layers hang beside the way, on a branch.

Nothing here needs torch. A node is any hashable object with `next_functions`, as autograd's nodes have it. The graph is
walked without recursion, because it may be deeper than Python's stack. A `Graph` keeps every node alive that it holds; drop
it before the training goes on.
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass
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
    return [graph.nodes[index] for index in _on_all_paths(graph, _leading_to(graph, first))]


def way(
    graph: Graph, first: Node, marked: Mapping[Any, str], joins: Callable[[Any], bool] = lambda node: True
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
    """
    leading = _leading_to(graph, first)
    places = _on_all_paths(graph, leading)
    kept: list[Station] = []
    # Every node between two neighbouring places lies on a branch between them: all paths meet again at the next place.
    for place, following in pairwise([*places, len(graph.nodes)]):
        node = graph.nodes[place]
        between = [graph.nodes[index] for index in range(place + 1, following) if leading[index]]
        branch = tuple(marked[beside] for beside in reversed(between) if beside in marked)
        if node in marked or (branch and joins(node)):
            kept.append(Station(node, marked.get(node) or f"{branch[-1]} +", branch))
    return kept[::-1]


def ways(
    graph: Graph,
    marked: Mapping[Any, str],
    joins: Callable[[Any], bool] = lambda node: True,
    choose: Callable[[list[Any]], list[Any]] = lambda firsts: firsts,
) -> list[list[Station]]:
    """The way to each first layer, in the order of the forward pass. The time is linear in the graph for each of them.

    Args:
        choose: called with the first layers; returns those whose ways are wanted.
    """
    return [way(graph, first, marked, joins) for first in choose(first_layers(graph, marked))]


def _following(node: Node) -> list[Any]:
    """The nodes that `node` hands its gradient to; those that need none are None."""
    return [following for following, _ in node.next_functions if following is not None]


def _leading_to(graph: Graph, first: Node) -> bytearray:
    """For each node, whether it is `first` or leads there."""
    leading = bytearray(len(graph.nodes))
    for index in range(len(graph.nodes) - 1, -1, -1):
        leading[index] = graph.nodes[index] is first or any(leading[following] for following in graph.following[index])
    return leading


def _on_all_paths(graph: Graph, leading: bytearray) -> list[int]:
    """The positions on every path from the roots to the end, among the nodes `leading` there.

    Every such node is on some path. Along a path positions grow, so a path avoids a node only by an edge over its position.
    A sweep that remembers how far the edges reach that began earlier therefore finds the others exactly.
    """
    furthest = max((root for root in graph.roots if leading[root]), default=0)
    found = []
    for index, following in enumerate(graph.following):
        if not leading[index]:
            continue
        if furthest <= index:
            found.append(index)
        furthest = max([furthest, *(place for place in following if leading[place])])
    return found
