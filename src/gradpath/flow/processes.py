"""Processes that share the batches: the numbers of one become those of all."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from gradpath.flow.norms import Scalar, gather


def of_all_processes(
    scalars: Sequence[Scalar], uses: Sequence[float], shared: npt.NDArray[np.bool_], device: torch.device
) -> tuple[list[Scalar], list[float]]:
    """Adds up the sums over samples over all processes. A layer may be used in some of the processes only.

    Args:
        scalars: the numbers of a step in this process. uses: how often each layer was used in a pass.
        shared: which of the numbers are sums over samples; at least as long as `scalars`.
    """
    numbers = gather(scalars)
    chosen = shared[: len(numbers)]
    # Another process may have a sum that this one lacks.
    known = ~np.isnan(numbers[chosen])
    total = torch.from_numpy(np.where(known, numbers[chosen], 0.0)).to(device)
    most = torch.from_numpy(np.append(known.astype(np.float64), uses)).to(device)
    torch.distributed.all_reduce(total)
    torch.distributed.all_reduce(most, torch.distributed.ReduceOp.MAX)
    known, most_uses = np.split(most.cpu().numpy(), [len(known)])
    numbers[chosen] = np.where(known > 0, total.cpu().numpy(), np.nan)
    return list(numbers), most_uses.tolist()
