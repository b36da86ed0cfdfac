"""What one step of the optimiser sees."""

from typing import NamedTuple

from torch import Tensor


class Batch(NamedTuple):
    """Inputs (batch, ...) and targets (batch,) or (batch, outputs)."""

    inputs: Tensor
    targets: Tensor
