"""Processes that share the batches: whether there are several, and how the numbers of one become those of all."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from gradpath.flow.norms import Scalar, gather


def own_share() -> str | None:
    """Which of several processes this is, in words; None if it trains alone."""
    group = torch.distributed
    if not group.is_available() or not group.is_initialized() or group.get_world_size() < 2:
        return None
    return f"process {group.get_rank()} of {group.get_world_size()}"


def of_all_processes(scalars: Sequence[Scalar], shared: npt.NDArray[np.bool_], device: torch.device) -> list[Scalar]:
    """Adds up the sums over samples over all processes. A layer may be used in some of the processes only.

    Waits for all of them: each must call it for the same steps.

    Args:
        scalars: the numbers of a step in this process.
        shared: which of the numbers are sums over samples; at least as long as `scalars`.
    """
    numbers = gather(scalars)
    chosen = shared[: len(numbers)]
    # Another process may have a sum that this one lacks.
    known = ~np.isnan(numbers[chosen])
    total = torch.from_numpy(np.where(known, numbers[chosen], 0.0)).to(device)
    anywhere = torch.from_numpy(known.astype(np.float64)).to(device)
    torch.distributed.all_reduce(total)
    torch.distributed.all_reduce(anywhere, torch.distributed.ReduceOp.MAX)
    numbers[chosen] = np.where(anywhere.cpu().numpy() > 0, total.cpu().numpy(), np.nan)
    return list(numbers)
