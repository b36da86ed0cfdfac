"""Where all of the gradient passes, against graphs with each node deleted in turn, and against autograd itself."""

import random
import sys
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from gradpath.flow.ways import Station, first_layers, graph_of, stations, way, ways
from gradpath.studies.ways_by_hand import loss_of, norms_at
from gradpath.studies.zoo_networks import SIX, made


class Drawn:
    """A node of a drawn graph."""

    def __init__(self) -> None:
        self.leads: list[Drawn | None] = []

    @property
    def next_functions(self) -> tuple[tuple["Drawn | None", int], ...]:
        return tuple((node, 0) for node in self.leads)


def chain(length: int) -> list[Drawn]:
    nodes = [Drawn() for _ in range(length)]
    for one, following in pairwise(nodes):
        one.leads = [following]
    return nodes


def drawn(seed: int) -> tuple[list[Drawn], list[Drawn]]:
    """A graph of up to 30 nodes with its one to three roots: a chain with shortcuts, dead ends and double edges."""
    rng = random.Random(seed)
    nodes = chain(rng.randint(2, 30))
    reach, density = rng.choice([2, 4, 30]), rng.choice([0.02, 0.1, 0.4])
    for index, node in enumerate(nodes):
        node.leads = [n for n in node.leads if rng.random() > 0.1]
        for later in nodes[index + 1 : index + 1 + reach]:
            node.leads += [later] * ((rng.random() < density) + (rng.random() < density / 4))
        if rng.random() < 0.2:
            node.leads.insert(0, None)
        rng.shuffle(node.leads)
    return nodes, rng.sample(nodes[: rng.choice([1, 3])], 1) if seed % 3 else nodes[: rng.randint(1, 3)]


def reached(start: list[Drawn], without: Drawn | None = None) -> set[Drawn]:
    seen: set[Drawn] = set()
    queue = [node for node in start if node is not without]
    while queue:
        node = queue.pop()
        if node not in seen:
            seen.add(node)
            queue += [n for n in node.leads if n is not None and n is not without]
    return seen


def stations_are_the_nodes_that_cannot_be_spared(seed: int) -> None:
    nodes, roots = drawn(seed)
    graph, living = graph_of(roots), reached(roots)
    assert set(graph.nodes) == living
    assert len(graph.nodes) == len(living)
    position = {node: index for index, node in enumerate(graph.nodes)}
    assert all(position[n] < position[m] for n in living for m in n.leads if m is not None)
    for first in nodes:
        spared = [node for node in nodes if node is not first and first not in reached(roots, without=node)]
        expected = {*spared, first} if first in living else set()
        found = stations(graph, first)
        assert len(found) == len(set(found))
        assert set(found) == expected
        assert found == sorted(found, key=position.__getitem__)


def ends_of_the_ways_are_the_layers_that_reach_no_other(seed: int) -> None:
    nodes, roots = drawn(seed)
    marked = random.Random(seed).sample(nodes, len(nodes) // 3)
    graph = graph_of(roots)
    alone = [m for m in marked if m in reached(roots) and not (reached([m]) - {m}) & set(marked)]
    assert set(first_layers(graph, marked)) == set(alone)
    assert len(ways(graph, dict.fromkeys(marked, "x"))) == len(alone)


def a_way_keeps_layers_and_the_places_where_branches_with_layers_join(seed: int) -> None:
    nodes, roots = drawn(seed)
    names = {node: f"n{nodes.index(node)}" for node in random.Random(seed).sample(nodes, len(nodes) // 3)}
    graph = graph_of(roots)
    for first in first_layers(graph, names):
        places, living = stations(graph, first), reached(roots)
        expected: list[tuple[Drawn, set[str]]] = []
        for index, place in enumerate(places):
            # What lies behind this place and leads to the next one, but is not one of the two.
            ends = set(places[index : index + 2])
            beside = {n for n in living & reached([place]) if len(ends) > 1 and places[index + 1] in reached([n])} - ends
            branch = {names[n] for n in beside if n in names}
            if place in names or branch:
                expected.append((place, branch))
        found = way(graph, first, names)
        assert [(s.node, set(s.branch)) for s in reversed(found)] == expected
        for station in found:
            assert station.name == names.get(station.node, f"{station.branch[-1]} +" if station.branch else None)
        assert found[0].node is first


CHECKS = [
    stations_are_the_nodes_that_cannot_be_spared,
    ends_of_the_ways_are_the_layers_that_reach_no_other,
    a_way_keeps_layers_and_the_places_where_branches_with_layers_join,
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_two_hundred_graphs(check: Callable[[int], None]) -> None:
    for seed in range(200):
        check(seed)


def test_a_node_that_no_root_leads_to_has_no_way() -> None:
    graph = graph_of(chain(3)[:1])
    other = Drawn()
    assert stations(graph, other) == []
    assert way(graph, other, {other: "other"}) == []
    assert first_layers(graph, [other]) == []
    assert graph_of([]).nodes == []


def test_a_root_given_twice_counts_once() -> None:
    nodes = chain(4)
    assert stations(graph_of([nodes[0], nodes[0]]), nodes[-1]) == nodes


def test_a_chain_deeper_than_the_stack() -> None:
    nodes = chain(5 * sys.getrecursionlimit())
    x = torch.ones(2, requires_grad=True)
    y = x * 1
    first = y.grad_fn
    for _ in range(5 * sys.getrecursionlimit()):
        y = y * 1
    assert graph_of(nodes[:1]).nodes == nodes
    assert len(stations(graph_of(nodes[:1]), nodes[-1])) == len(nodes)
    assert len(stations(graph_of([y.grad_fn]), first)) == 5 * sys.getrecursionlimit() + 1


def marks_of(network: nn.Module, x: Tensor) -> tuple[dict[object, str], Tensor]:
    """The output nodes of the network's linear, convolutional and embedding layers by name, and its loss on `x`."""
    marks: dict[object, str] = {}
    kinds = (nn.Linear, nn.Conv2d, nn.Embedding)
    layers = [(name, module) for name, module in network.named_modules() if isinstance(module, kinds)]
    hooks = [
        module.register_forward_hook(lambda _m, _x, out, name=name: marks.__setitem__(out.grad_fn, name))
        for name, module in layers
    ]
    loss = loss_of(network(x))
    for hook in hooks:
        hook.remove()
    return marks, loss


@pytest.mark.parametrize("name", SIX)
def test_the_gradients_at_the_stations_of_a_network(name: str) -> None:
    network, x = made(name)
    marks, loss = marks_of(network, x)
    found = ways(graph_of([loss.grad_fn]), marks)
    expected = norms_at(network, loss)
    squares: dict[Station, float] = {}
    for station in {s.node: s for one in found for s in one}.values():
        station.node.register_prehook(lambda g, s=station: squares.__setitem__(s.node, g[0].square().sum().item()))
    loss.backward()
    got = [[(s.name, squares[s.node] ** 0.5) for s in one] for one in found]
    got.sort(key=lambda one: [way[0][0] for way in expected].index(one[0][0]))
    assert [[name for name, _ in way] for way in got] == [[name for name, _ in way] for way in expected]
    for ours, theirs in zip(got, expected, strict=True):
        assert [norm for _, norm in ours] == pytest.approx([norm for _, norm in theirs], rel=1e-12)


def test_what_hangs_beside_the_way_is_named_in_the_order_of_the_forward_pass() -> None:
    network, x = made("pre-norm transformer")
    marks, loss = marks_of(network, x)
    (found,) = ways(graph_of([loss.grad_fn]), marks)
    assert found[0].branch == ()
    assert set(found[1].branch) == {f"blocks.0.{name}" for name in "qkvo"}
    assert found[1].branch[-1] == "blocks.0.o"
    assert found[2].branch == ("blocks.0.up", "blocks.0.down")


def test_two_losses_share_the_way_below_their_heads() -> None:
    trunk, heads = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3)), [nn.Linear(3, 1), nn.Linear(3, 1)]
    h = [trunk[0](torch.ones(2, 3))]
    h.append(trunk[2](torch.tanh(h[0])))
    outs = [head(torch.tanh(h[1])) for head in heads]
    marks = {t.grad_fn: name for t, name in zip([*h, *outs], ["one", "two", "left", "right"], strict=True)}
    separate = graph_of([out.sum().grad_fn for out in outs])
    assert [[s.name for s in one] for one in ways(separate, marks)] == [["one", "two"]]
    # Their sum is a place where branches with layers join, unless it is refused.
    loss = outs[0].sum() + outs[1].sum()
    together = graph_of([loss.grad_fn])
    ((*below, joint),) = ways(together, marks)
    assert [s.name for s in below] == ["one", "two"]
    assert set(joint.branch) == {"left", "right"}
    assert ways(together, marks, lambda node: node is not loss.grad_fn) == [below]


class Counting(dict[Drawn, str]):
    """Counts how often it is asked for a node."""

    asked = 0

    def __contains__(self, node: object) -> bool:
        self.asked += 1
        return super().__contains__(node)


def test_what_many_ways_share_is_looked_at_once() -> None:
    """A hundred embedding tables below one trunk, whose branches are layers."""
    trunk = chain(201)
    marked = Counting()
    for number, (above, below) in enumerate(zip(trunk[:-1:2], trunk[2::2], strict=True)):
        beside = Drawn()
        above.leads, beside.leads = [*above.leads, beside], [below]
        marked[beside] = f"layer {number}"
    tables = chain(1) + [Drawn() for _ in range(99)]
    trunk[-1].leads = [*tables]
    marked |= {table: f"table {number}" for number, table in enumerate(tables)}
    found = ways(graph_of(trunk[:1]), marked)
    assert {way[0].name for way in found} == {f"table {number}" for number in range(100)}
    assert all(way[1:] == found[0][1:] for way in found)
    assert len(found[0]) == 101
    assert marked.asked < 2000


def test_a_node_under_each_node_of_a_long_chain() -> None:
    """A weight that is used at each of thousands of time steps: each use is compared with the one before it."""
    nodes, weight = chain(20_000), Drawn()
    for node in nodes:
        node.leads = [*node.leads, weight]
    assert stations(graph_of(nodes[:1]), weight) == [nodes[0], weight]
