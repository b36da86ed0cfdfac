"""Every source of randomness from one number."""

import lightning.pytorch as pl
import torch


def seed_everything(seed: int) -> None:
    """Seeds every generator, and spends nothing on filling fresh memory, which `deterministic` would do."""
    pl.seed_everything(seed, workers=True, verbose=False)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
