"""One number seeds every source of randomness."""

import lightning.pytorch as pl
import torch


def seed_everything(seed: int) -> None:
    """Seeds every generator. Turns off the filling of fresh memory, which `deterministic` would otherwise spend time on."""
    pl.seed_everything(seed, workers=True, verbose=False)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
