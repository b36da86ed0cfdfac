"""Euclidean norms of many tensors in one call, left on the device."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

# What a norm of 0 is drawn as: below every gradient that float32 can hold.
LOG10_FLOOR = 1e-45


def norms(tensors: Sequence[Tensor]) -> Tensor:
    """|t|_2 of each tensor, shape (len(tensors),), on their device, without a transfer.

    Summed in float64 (where the device has it): float32 squares of a gradient near 1e-20 would underflow to 0.
    """
    dtype = torch.float32 if tensors[0].device.type == "mps" else torch.float64
    return torch.stack(torch._foreach_norm(list(tensors), 2, dtype))


def log10(values: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """log10 with a floor, so that 1e-3, 1e-20 and 0 are three different heights."""
    logs: npt.NDArray[np.floating] = np.log10(np.maximum(values, LOG10_FLOOR))
    return logs
