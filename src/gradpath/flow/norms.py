"""Sums of squares that neither underflow nor wait for a device."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

# What a norm of 0 is drawn as: below every gradient that float32 can hold.
LOG10_FLOOR = 1e-45
# A float32 sum of squares between these has lost nothing that counts to underflow or overflow.
TRUSTED = (1e-30, 1e30)

Scalar = float | Tensor


def square_sum(values: Tensor) -> Scalar:
    """sum of v^2: a Python float on the CPU, a 0-d float64 tensor on other devices, where asking would be a sync.

    On the CPU one BLAS dot product, done again in float64 where float32 squares may have left their range: those of a
    gradient near 1e-20 would be 0.
    """
    flat = values.detach().reshape(-1)
    if flat.device.type != "cpu":
        dtype = torch.float32 if flat.device.type == "mps" else torch.float64
        squared: Tensor = torch.linalg.vector_norm(flat, dtype=dtype).square()
        return squared
    if flat.dtype not in (torch.float32, torch.float64):
        flat = flat.float()
    total: float = torch.dot(flat, flat).item()
    if flat.dtype == torch.float64 or TRUSTED[0] < total < TRUSTED[1]:
        return total
    return float(flat.double().square().sum().item())


def gather(scalars: Sequence[Scalar]) -> npt.NDArray[np.float64]:
    """The numbers themselves, shape (len(scalars),), in one transfer where there are tensors among them."""
    tensors = [scalar for scalar in scalars if isinstance(scalar, Tensor)]
    fetched = iter(torch.stack([t.double() for t in tensors]).tolist() if tensors else [])
    return np.array([next(fetched) if isinstance(scalar, Tensor) else scalar for scalar in scalars], dtype=np.float64)


def log10(values: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """log10 with a floor, so that 1e-3, 1e-20 and 0 are three different heights."""
    logs: npt.NDArray[np.floating] = np.log10(np.maximum(values, LOG10_FLOOR))
    return logs
