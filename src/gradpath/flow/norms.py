"""Sums of squares that neither underflow nor wait for a device."""

from collections.abc import Iterable, Sequence
from math import inf, isnan, nan

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gradpath.flow.private_torch import norms

# A norm of 0 is drawn as this value, which is below every gradient that float32 can hold.
LOG10_FLOOR = 1e-45
# A float32 sum of squares between these limits has lost nothing that matters to underflow or overflow.
TRUSTED = (1e-30, 1e30)
# The numbers in a sum of squares below FAINT are below 1e-14; multiplied by LIFT they stay below 1e5.
FAINT, LIFT = 1e-28, 2.0**60

Scalar = float | Tensor


def square_sum(values: Tensor, last: Scalar = 1.0) -> Scalar:
    """The sum of |v|^2 over a tensor, which may be sparse or complex.

    On the CPU it is a Python float; elsewhere, where reading it would be a sync, it is a 0-d float64 tensor. It is inf if an
    entry is NaN, because NaN in a record means that nothing was measured.

    On the CPU this is one BLAS dot product. If float32 squares may have left their range (those of a gradient near 1e-20
    would be 0), a second one takes the values times a power of two; if that is not enough, the sum is taken in float64.

    Args:
        last: the sum at an earlier step. If it was faint, the second way is tried first, because squares that are subnormal
            numbers take ten times as long.
    """
    if values.layout != torch.strided:
        values = values.coalesce().values()
    if values.is_complex():
        values = torch.view_as_real(values.resolve_conj())
    flat = values.reshape(-1)
    if not flat.is_cpu:
        # Detached: gradients may carry a graph (create_graph=True), which must not live on in a number.
        norm: Tensor = torch.linalg.vector_norm(flat.detach(), dtype=_wide(flat))
        return norm.square().nan_to_num(nan=inf, posinf=inf)
    if flat.dtype == torch.float32 and last < FAINT:
        total = _lifted(flat)
        if TRUSTED[0] < total * LIFT**2 < TRUSTED[1]:
            return total
    if flat.dtype not in (torch.float32, torch.float64):
        flat = flat.float()
    total = torch.dot(flat, flat).item()
    if TRUSTED[0] < total < TRUSTED[1]:
        return total
    if flat.dtype == torch.float32:
        total = _lifted(flat) if total < FAINT else inf
        if not TRUSTED[0] < total * LIFT**2 < TRUSTED[1]:
            total = flat.double().square().sum().item()
    return inf if isnan(total) else total


def _lifted(flat: Tensor) -> float:
    """The sum of squares of small numbers. They are first multiplied by a power of two, which changes no digit."""
    lifted = flat * LIFT
    total: float = torch.dot(lifted, lifted).item()
    return total / LIFT**2


def square_sums(tensors: Sequence[Tensor | None]) -> list[Scalar]:
    """`square_sum` of each tensor, NaN for None; those of one device are computed in one call."""
    found: list[Scalar] = [float("nan")] * len(tensors)
    together = []
    for index, tensor in enumerate(tensors):
        if tensor is None:
            continue
        if tensor.is_cpu or tensor.is_complex() or tensor.layout != torch.strided:
            found[index] = square_sum(tensor.detach())
        else:
            together.append((index, tensor.detach()))
    for group in by_device(together):
        squares = torch.stack(norms([tensor for _, tensor in group], _wide(group[0][1]))).square()
        for (index, _), square in zip(group, squares.nan_to_num(nan=inf, posinf=inf).unbind(), strict=True):
            found[index] = square
    return found


def by_device(numbered: Iterable[tuple[int, Tensor]]) -> list[list[tuple[int, Tensor]]]:
    """Numbered tensors in groups, one for each device. A model may be spread over several."""
    groups: dict[torch.device, list[tuple[int, Tensor]]] = {}
    for index, tensor in numbered:
        groups.setdefault(tensor.device, []).append((index, tensor))
    return list(groups.values())


def plus(one: Scalar, other: Scalar) -> Scalar:
    """The sum of two numbers, which may lie on two devices."""
    if isinstance(one, Tensor) and isinstance(other, Tensor) and one.device != other.device:
        other = other.to(one.device)
    return one + other


def square_sums_of_rows(values: Tensor) -> Tensor:
    """`square_sum` of each row of a tensor whose first dimension counts them, (rows,) in float64."""
    flat = values.reshape(len(values), -1)
    if flat.is_cpu and flat.dtype in (torch.float32, torch.float64):
        found = torch.bmm(flat[:, None], flat[:, :, None]).flatten().double()
        # NaN is not trusted either.
        if bool(((found > TRUSTED[0]) & (found < TRUSTED[1])).all()):
            return found
    norm: Tensor = torch.linalg.vector_norm(flat, dim=1, dtype=_wide(flat))
    return norm.square().nan_to_num(nan=inf, posinf=inf)


def gather(scalars: Sequence[Scalar]) -> npt.NDArray[np.float64]:
    """The scalars as an array, shape (len(scalars),); the tensors of one device are fetched in one transfer."""
    tensors = [(index, scalar) for index, scalar in enumerate(scalars) if isinstance(scalar, Tensor)]
    found = np.array([nan if isinstance(scalar, Tensor) else scalar for scalar in scalars], dtype=np.float64)
    for group in by_device(tensors):
        found[[index for index, _ in group]] = torch.stack([t.to(_wide(t)) for _, t in group]).cpu().numpy()
    return found


def log10(values: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """log10 with a floor, so that 1e-3, 1e-20 and 0 are three different heights."""
    logs: npt.NDArray[np.floating] = np.log10(np.maximum(values, LOG10_FLOOR))
    return logs


def _wide(values: Tensor) -> torch.dtype:
    # Apple's devices have no float64.
    return torch.float32 if values.device.type == "mps" else torch.float64
