"""What the chain rule costs when it is expanded path by path, where backpropagation computes each gradient once.

dL/dv is a sum over all paths from v to the loss, each a product of local derivatives. Their number multiplies from layer to
layer (Griewank & Walther 2008, ch. 3).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from gradpath.byhand.layers import Operation, Reach

# Batch and units of an intermediate; sample and unit of an entry of it.
Shape = tuple[int, int]
Entry = tuple[int, int]


def paths(operations: Sequence[Operation], shapes: Sequence[Shape]) -> list[int]:
    """Counts the paths to the loss from one entry of each intermediate, inputs first. From the outputs there is 1.

    Args:
        shapes: of each intermediate, inputs first.
    """
    counts = [1]
    for operation, shape in reversed(list(zip(operations, shapes[1:], strict=True))):
        counts.insert(0, counts[0] * len(_reached(operation.reach, (0, 0), shape)))
    return counts


def expanded(operations: Sequence[Operation], shapes: Sequence[Shape], upstream: Tensor) -> tuple[Tensor, int]:
    """Sums dL/d(inputs) path by path and counts the paths. Only for small networks.

    Args:
        operations: that have run forward. shapes: of each intermediate, inputs first. upstream: dL/d(outputs).
    """
    local = [_local(operation, shape) for operation, shape in zip(operations, shapes[1:], strict=True)]
    walked = 0

    def walk(level: int, entry: Entry) -> float:
        nonlocal walked
        if level == len(operations):
            walked += 1
            return float(upstream[entry])
        reached = _reached(operations[level].reach, entry, shapes[level + 1])
        return sum(float(local[level][(*there, *entry)]) * walk(level + 1, there) for there in reached)

    samples, units = shapes[0]
    found = [[walk(0, (sample, unit)) for unit in range(units)] for sample in range(samples)]
    return torch.tensor(found, dtype=upstream.dtype), walked


def _reached(reach: Reach, entry: Entry, shape: Shape) -> list[Entry]:
    """The entries of an output of this shape that depend on one entry of the input."""
    (sample, unit), (samples, units) = entry, shape
    if reach == "entry":
        return [entry]
    return [(sample, i) for i in range(units)] if reach == "sample" else [(i, unit) for i in range(samples)]


def _local(operation: Operation, shape: Shape) -> Tensor:
    """d(output) / d(input), (B, m, B, n), from one call of `backward` per entry of the output."""
    samples, units = shape
    ones = torch.eye(samples * units, dtype=torch.float64).reshape(-1, samples, units)
    rows = [operation.backward(one) for one in ones]
    return torch.stack(rows).reshape(samples, units, *rows[0].shape)
