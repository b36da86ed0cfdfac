"""Random inputs with random labels, independent of each other."""

import torch

from gradpath.data.memory import MemoryDataModule, split_off


def gaussian(
    samples: int, features: int, classes: int, data_seed: int, batch_size: int, limit: int | None = None, seed: int = 0
) -> MemoryDataModule:
    """x ~ N(0, I), so that |x|^2 / n_0 is 1 on average, and uniform labels; split 70 / 15 / 15 %."""
    generator = torch.Generator().manual_seed(data_seed)
    x = torch.randn(samples, features, generator=generator)
    y = torch.randint(classes, (samples,), generator=generator)
    train, val, test = (part.head(limit) for part in split_off(x, y, (0.7, 0.15, 0.15)))
    return MemoryDataModule(train, val, test, task="multiclass", outputs=classes, batch_size=batch_size, seed=seed)
