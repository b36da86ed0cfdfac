"""Dead units: those that have long been silent."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

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
        self.idle: dict[int, tuple[npt.NDArray[np.int64], int]] = {}
        self.units: list[int] = []
        self.meet(units)

    def meet(self, units: Sequence[int | None]) -> None:
        """Takes up the layers as they are now. Of one that has other units than before nothing is known."""
        before, self.units = self.units, [n or 1 for n in units]
        for layer, (old, new) in enumerate(zip(before, self.units, strict=False)):
            if old != new:
                self.idle.pop(layer, None)

    def dead(self, peaks: Sequence[Tensor | None], samples: int, device: torch.device) -> list[float]:
        """The fraction of each layer's units that were silent for WINDOW samples; NaN where nothing has been seen.

        Args:
            peaks: for each layer (units,), positive for a unit that was not zero on all of the step's samples; None for a
                layer that was not seen.
            samples: number of the step's samples in this process.
        """
        # Where the last dimension is not that of the units (channels that come second), nothing is known of these.
        peaks = [p if p is not None and n % max(1, len(p)) == 0 else None for p, n in zip(peaks, self.units, strict=True)]
        sizes = [n if peak is None else len(peak) for peak, n in zip(peaks, self.units, strict=True)]
        # -1 marks a layer that this process did not see; another may have. All layers share one transfer.
        all_peaks = torch.cat(
            [torch.full((n,), -1.0, device=device) if p is None else p for p, n in zip(peaks, sizes, strict=True)]
        )
        if self.distributed:
            torch.distributed.all_reduce(all_peaks, torch.distributed.ReduceOp.MAX)
            samples *= torch.distributed.get_world_size()
        parts = np.split(all_peaks.cpu().numpy(), np.cumsum(sizes)[:-1])
        return [self._dead(index, peak, samples) for index, peak in enumerate(parts)]

    def state(self) -> dict[str, tuple[Tensor, int]]:
        """The counts so far, for a checkpoint."""
        return {str(layer): (torch.from_numpy(idle), seen) for layer, (idle, seen) in self.idle.items()}

    def go_on(self, state: Mapping[str, tuple[Tensor, int]]) -> None:
        """Continues from the counts of a checkpoint."""
        self.idle = {int(layer): (idle.numpy(), seen) for layer, (idle, seen) in state.items()}

    def _dead(self, layer: int, peak: npt.NDArray[np.float32], samples: int) -> float:
        if peak.max(initial=-1) < 0:
            return float("nan")
        idle, before = self.idle.get(layer, (np.zeros(len(peak), dtype=np.int64), 0))
        if len(idle) != len(peak):
            return float("nan")
        idle, seen = np.where(peak > 0, 0, idle + samples), before + samples
        self.idle[layer] = idle, seen
        return float(np.mean(idle >= min(seen, WINDOW)))
