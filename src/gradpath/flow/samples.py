"""How many samples a batch has: one number for all layers alike, however they lay out their dimensions."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence


def samples_in(given: Any, batch_dim: int) -> int | None:
    """The number of samples in a model's arguments; None if none of them tells.

    It is the size of the dimension `batch_dim` of the first tensor. A vector of numbers is one sample; a vector of integers
    (classes, tokens) has one for each.
    """
    if isinstance(given, Tensor):
        if given.ndim == 0:
            return None
        if given.ndim == 1 and given.is_floating_point():
            return 1
        return given.shape[batch_dim] if -given.ndim <= batch_dim < given.ndim else None
    if isinstance(given, PackedSequence):
        # The first time step has one row for each sequence.
        return int(given.batch_sizes[0])
    if isinstance(given, Mapping):
        given = given.values()
    elif not isinstance(given, tuple | list):
        return None
    return next((found for found in (samples_in(one, batch_dim) for one in given) if found is not None), None)
