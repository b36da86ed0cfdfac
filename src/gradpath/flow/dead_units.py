"""Dead units: those that have long been silent."""

from collections.abc import Mapping, Sequence
from math import nan

import torch
from torch import Tensor

from gradpath.flow.norms import Scalar

# A unit is dead if it was zero on this many samples in a row (on all samples, before so many were seen).
WINDOW = 1024


class Silence:
    """Counts, for each unit of each layer, the samples since it was last positive.

    Args:
        units: number of units of each layer; None if it is not known. distributed: processes share the batches.
    """

    def __init__(self, units: Sequence[int | None], distributed: bool) -> None:
        self.distributed = distributed
        # For each layer that was seen: samples since each unit was last positive, and samples seen.
        self.idle: dict[int, tuple[Tensor, int]] = {}
        self.units: list[int] = []
        self.meet(units)

    def meet(self, units: Sequence[int | None]) -> None:
        """Takes up the layers as they are now. Of one that has other units than before nothing is known."""
        before, self.units = self.units, [n or 1 for n in units]
        for layer, (old, new) in enumerate(zip(before, self.units, strict=False)):
            if old != new:
                self.idle.pop(layer, None)

    def dead(self, peaks: Sequence[Tensor | None], samples: int, device: torch.device) -> list[Scalar]:
        """The fraction of each layer's units that were silent for WINDOW samples; NaN where nothing has been seen.

        Args:
            peaks: for each layer (units,), positive for a unit that was not zero on all of the step's samples; None for a
                layer that was not seen.
            samples: number of the step's samples in this process. device: where processes exchange what they saw.
        """
        # Where the last dimension is not that of the units (channels that come second), nothing is known of these.
        peaks = [p if p is not None and n % max(1, len(p)) == 0 else None for p, n in zip(peaks, self.units, strict=True)]
        if self.distributed:
            peaks, samples = self._of_all(peaks, device), samples * torch.distributed.get_world_size()
        return [nan if peak is None else self._dead(index, peak, samples) for index, peak in enumerate(peaks)]

    def _of_all(self, peaks: Sequence[Tensor | None], device: torch.device) -> list[Tensor | None]:
        """The highest of all processes. -1 marks a layer that this one did not see; all layers share one transfer."""
        sizes = [n if peak is None else len(peak) for peak, n in zip(peaks, self.units, strict=True)]
        unseen = [torch.full((size,), -1.0, device=device) for size in sizes]
        highest = torch.cat([one if peak is None else peak.to(device) for peak, one in zip(peaks, unseen, strict=True)])
        torch.distributed.all_reduce(highest, torch.distributed.ReduceOp.MAX)
        found: Sequence[Tensor] = torch.split(highest.cpu(), sizes)
        return [peak if len(peak) and peak.max() >= 0 else None for peak in found]

    def state(self) -> dict[str, tuple[Tensor, int]]:
        """The counts so far, for a checkpoint."""
        return {str(layer): (idle.cpu(), seen) for layer, (idle, seen) in self.idle.items()}

    def go_on(self, state: Mapping[str, tuple[Tensor, int]]) -> None:
        """Continues from the counts of a checkpoint."""
        self.idle = {int(layer): counted for layer, counted in state.items()}

    def _dead(self, layer: int, peak: Tensor, samples: int) -> Scalar:
        idle, before = self.idle.get(layer, (torch.zeros_like(peak, dtype=torch.int64), 0))
        if len(idle) != len(peak):
            return nan
        idle, seen = (idle.to(peak.device) + samples).masked_fill(peak > 0, 0), before + samples
        self.idle[layer] = idle, seen
        dead = (idle >= min(seen, WINDOW)).sum()
        return (dead.item() if dead.is_cpu else dead) / max(1, len(peak))
