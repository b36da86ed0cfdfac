"""One-dimensional regression, small enough to draw."""

import torch

from gradpath.data.memory import MemoryDataModule, split_off


def sine(
    samples: int, noise: float, data_seed: int, batch_size: int, limit: int | None = None, seed: int = 0
) -> MemoryDataModule:
    """y = sin(pi x) + N(0, noise^2), x uniform in [-2, 2], split 70 / 15 / 15 %. Shapes (n, 1)."""
    generator = torch.Generator().manual_seed(data_seed)
    x = 4 * torch.rand(samples, 1, generator=generator) - 2
    y = torch.sin(torch.pi * x) + noise * torch.randn(samples, 1, generator=generator)
    train, val, test = (part.head(limit) for part in split_off(x, y, (0.7, 0.15, 0.15)))
    return MemoryDataModule(train, val, test, task="regression", outputs=1, batch_size=batch_size, seed=seed)
