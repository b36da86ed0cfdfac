"""Sums over the outputs of an activation, from which mean, variance, saturation and dead units follow."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gradpath.flow.norms import Scalar, square_sum
from gradpath.flow.saturation import Shape


@dataclass(slots=True)
class Activations:
    """Sums over the outputs of a layer's activation, taken about phi(0) so that a small variance stays exact.

    given: the sum, None if it equals the sum of `peak`. squares: the sum of squares. outputs, saturated: how many outputs
    there are, and how many of them are saturated. peak: (units,), positive for a unit that was not zero on every sample.
    values: the latest outputs themselves, if they are kept.
    """

    shape: Shape
    given: Scalar | None
    squares: Scalar
    outputs: int
    saturated: Scalar
    peak: Tensor
    values: Tensor | None

    def __add__(self, later: "Activations") -> "Activations":
        return replace(
            later,
            given=None if self.given is None and later.given is None else self.total + later.total,
            squares=self.squares + later.squares,
            outputs=self.outputs + later.outputs,
            saturated=self.saturated + later.saturated,
            # Peaks are never negative (sums or maxima), so their sum is positive if one of them is.
            peak=self.peak + later.peak,
        )

    @property
    def total(self) -> Scalar:
        return _scalar(self.peak.sum()) if self.given is None else self.given


def sums(outputs: Tensor, shape: Shape, unit_dim: int, keep: bool) -> Activations:
    """The sums over a batch's `outputs`, whose units lie on the dimension `unit_dim`, counted from the end."""
    if outputs.is_complex():
        outputs = outputs.abs()
    rows = outputs if outputs.ndim == 2 or unit_dim != -1 else outputs.reshape(-1, outputs.shape[-1])
    if rows.dtype not in (torch.float32, torch.float64):
        rows = rows.float()
    centred = rows - shape.centre if shape.centre else rows
    others = [dim for dim in range(rows.ndim) if dim != rows.ndim + unit_dim]
    # A sum of non-negative outputs is zero only if all of them are, so one pass over the data gives peak and total.
    # The absolute values as a tensor would cost more than a second look.
    peak = rows.sum(others) if shape.nonnegative else torch.maximum(rows.amax(others), rows.amin(others).neg())
    given = None if shape.total_is_peak else _scalar(centred.sum())
    saturated = shape.saturated(rows)
    return Activations(
        shape=shape,
        given=given,
        squares=square_sum(centred),
        outputs=rows.numel(),
        saturated=float("nan") if saturated is None else _scalar(saturated),
        peak=peak,
        values=rows if keep else None,
    )


def _scalar(value: Tensor) -> Scalar:
    return value.item() if value.is_cpu else value.double()
