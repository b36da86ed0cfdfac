"""Gradients that were set to zero past autograd (`p.grad.data.zero_()`), which leaves no trace but the zeros."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from gradpath.flow.meters import Meter, stamp_of
from gradpath.flow.norms import gather, square_sums


def without_zeros(meters: Sequence[Meter]) -> list[Meter]:
    """Those whose gradients are not zero everywhere. Waits for a device once."""
    given = [(meter, meter.parameter.grad) for meter in meters if meter.parameter is not None]
    found = [(meter, gradient) for meter, gradient in given if gradient is not None]
    on_cpu = {meter for meter, gradient in found if gradient.is_cpu and not _is_zero(gradient)}
    elsewhere = [(meter, gradient) for meter, gradient in found if not gradient.is_cpu]
    squares = gather(square_sums([gradient for _, gradient in elsewhere]))
    kept = on_cpu | {meter for (meter, _), square in zip(elsewhere, squares, strict=True) if square != 0}
    return [meter for meter in meters if meter in kept]


def cleared_since_the_pass(meters: Iterable[Meter]) -> list[Meter]:
    """The layers whose gradients are, as far as autograd knows, those that the latest pass left, if all are zero.

    Of single ones that may be what the pass left. Only the CPU is asked, where that waits for nothing.
    """
    same = [meter for meter in meters if meter.stamp is not None and stamp_of(meter.parameter) == meter.stamp]
    return same if all(_is_zero_on_cpu(meter) for meter in same) else []


def _is_zero_on_cpu(meter: Meter) -> bool:
    gradient = meter.parameter.grad if meter.parameter is not None else None
    return gradient is not None and gradient.is_cpu and _is_zero(gradient)


def _is_zero(gradient: Tensor) -> bool:
    # Most are not so at their first entry.
    if gradient.layout == torch.strided and gradient.numel() and bool(gradient[(0,) * gradient.ndim]):
        return False
    return not bool((gradient.coalesce().values() if gradient.is_sparse else gradient).any())
