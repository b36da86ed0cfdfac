"""How many samples a batch has: one number for all layers alike, however they lay out their dimensions."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence


def samples_in(given: Any, batch_dim: int) -> int | None:
    """The number of samples in a model's arguments; None if none of them tells.

    It is the size of the dimension `batch_dim` of the first tensor. A vector of integers (classes, tokens) has one for each.
    A vector of numbers is one sample, if no other argument tells: beside a batch it has one number for each (a time).
    """
    found = _told_by(given, batch_dim)
    return 1 if found is None and _has_vector(given) else found


def _has_vector(given: Any) -> bool:
    """Whether there is a vector of numbers among the arguments."""
    if isinstance(given, Tensor):
        return given.ndim == 1 and given.is_floating_point()
    if isinstance(given, PackedSequence):
        return False
    if isinstance(given, Mapping):
        given = given.values()
    elif not isinstance(given, tuple | list):
        return False
    return any(map(_has_vector, given))


def _told_by(given: Any, batch_dim: int) -> int | None:
    if isinstance(given, Tensor):
        if given.ndim == 0 or (given.ndim == 1 and given.is_floating_point()):
            return None
        return given.shape[batch_dim] if -given.ndim <= batch_dim < given.ndim else None
    if isinstance(given, PackedSequence):
        # The first time step has one row for each sequence.
        return int(given.batch_sizes[0])
    if isinstance(given, Mapping):
        given = given.values()
    elif not isinstance(given, tuple | list):
        return None
    return next((found for found in (_told_by(one, batch_dim) for one in given) if found is not None), None)
