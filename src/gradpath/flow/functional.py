"""Products with weights that belong to no layer: `F.linear(x, self.w)`, `x @ self.w`. They are found in autograd's graph."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gradpath.flow.kinds import Layer
from gradpath.flow.places import Place
from gradpath.flow.private_torch import shapes_of_outputs
from gradpath.flow.ways import Graph

PRODUCTS = ("Addmm", "Mm", "Bmm", "Baddbmm", "Addbmm", "Mv", "Addmv", "Linear", "Convolution")
# What only shows the weight in another way.
VIEWS = (
    *("T", "Transpose", "Permute", "View", "UnsafeView", "ReshapeAlias", "Squeeze", "Unsqueeze", "Expand"),
    *("ToCopy", "Clone", "Alias", "Select", "Slice", "Unbind"),
)


def products(graph: Graph, bare: Mapping[int, Layer]) -> Iterator[tuple[Any, Layer]]:
    """The nodes of the products with these weights, in the order of the forward pass, each with the weight as a layer.

    Args:
        bare: by the parameters' ids.
    """
    owners: dict[int, Layer] = {}
    # What a node leads to comes after it, so a sweep from the end meets the weights first.
    for index in range(len(graph.nodes) - 1, -1, -1):
        node = graph.nodes[index]
        layer = bare.get(id(getattr(node, "variable", None)))
        below = {owners[following] for following in graph.following[index] if following in owners}
        if layer is None and len(below) == 1:
            (layer,) = below
            if _is(node, PRODUCTS):
                yield node, layer
                continue
            # A node with another input is no view.
            layer = layer if _is(node, VIEWS) and len(graph.following[index]) == 1 else None
        if layer is not None:
            owners[index] = layer


def places_of(
    graph: Graph,
    bare: Mapping[int, Layer],
    known: Callable[[Any], Place | None],
    number: Callable[[], int],
    samples: int | None,
) -> Iterator[tuple[Any, Place]]:
    """A place for the output of each such product that has none yet. `known` tells which has; `number` counts."""
    for node, layer in products(graph, bare):
        if known(node) is None:
            shape = next(iter(shapes_of_outputs(node)), ())
            yield node, Place(layer, number(), shape[0] if len(shape) > 1 else 1, samples)


def _is(node: Any, kinds: tuple[str, ...]) -> bool:
    name = type(node).__name__
    return name.removesuffix("0").removesuffix("Backward") in kinds
