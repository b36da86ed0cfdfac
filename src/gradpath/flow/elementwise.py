"""Functions that act on each entry by itself, as autograd's graph shows them."""

from typing import Any

# The beginnings of the names of their nodes: of activations, and of what else may stand between a layer and its activation.
ACTIVATIONS = (
    *("Relu", "LeakyRelu", "Elu", "Celu", "Gelu", "Silu", "Mish", "Sigmoid", "LogSigmoid", "Tanh", "Softplus", "Threshold"),
    *("Hardtanh", "Hardsigmoid", "Hardswish", "Hardshrink", "Softshrink", "Rrelu", "Clamp", "Where", "Erf", "Sin", "Cos"),
    *("Atan", "Asinh", "Exp", "Log1p", "Abs", "Sgn", "Pow", "Square", "Maximum", "Minimum"),
)
BESIDE = (
    *("Mul", "Div", "Add", "Sub", "Neg", "Sqrt", "Reciprocal", "NativeDropout"),
    *("View", "UnsafeView", "ReshapeAlias", "ToCopy", "Clone", "Alias", "CopySlices", "AsStrided"),
)
# These mix entries. In front of an activation they belong to it; alone they are none.
NORMS = ("NativeBatchNorm", "CudnnBatchNorm", "MiopenBatchNorm", "NativeLayerNorm", "NativeGroupNorm")
# An activation that is written out takes a few.
MOST = 24


def is_made_of(node: Any, source: Any) -> bool:
    """Whether a tensor is made from another by an activation, and from no other layer.

    Args:
        node, source: their nodes in autograd's graph; None if a tensor has none.
    """
    if node is None or source is None or node is source:
        return False
    # Each with whether an activation stands above it.
    waiting, seen = [(node, False)], set()
    while waiting:
        one, activated = waiting.pop()
        if one is source or one in seen or _is_vector(one):
            continue
        seen.add(one)
        name = type(one).__name__
        activated = activated or name.startswith(ACTIVATIONS)
        known = name.startswith((*ACTIVATIONS, *BESIDE)) or (activated and name.startswith(NORMS))
        if len(seen) > MOST or not known:
            return False
        waiting += [(following, activated) for following, _ in one.next_functions if following is not None]
    return True


def _is_vector(node: Any) -> bool:
    """Whether it is a parameter of at most one dimension: a bias, or a scale."""
    variable = getattr(node, "variable", None)
    return variable is not None and variable.ndim <= 1
