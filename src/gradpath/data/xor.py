"""Exclusive or: the smallest problem that no line separates."""

import torch

from gradpath.data.memory import MemoryDataModule, MemoryDataset, split_off

CORNERS = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
LABELS = torch.tensor([0, 1, 1, 0])


def xor(steps_per_epoch: int, batch_size: int = 4, seed: int = 0) -> MemoryDataModule:
    """The four points, all in every batch; validation and test are the same four."""
    table = MemoryDataset(CORNERS, LABELS)
    repeated = MemoryDataset(CORNERS.repeat(steps_per_epoch, 1), LABELS.repeat(steps_per_epoch))
    return MemoryDataModule(
        repeated, table, table, task="binary", outputs=1, batch_size=batch_size, shuffle=False, seed=seed
    )


def xor_noisy(
    samples: int, noise: float, data_seed: int, batch_size: int, limit: int | None = None, seed: int = 0
) -> MemoryDataModule:
    """`samples` points around the corners, N(corner, noise^2), split 70 / 15 / 15 %."""
    generator = torch.Generator().manual_seed(data_seed)
    corner = torch.randint(4, (samples,), generator=generator)
    points = CORNERS[corner] + noise * torch.randn(samples, 2, generator=generator)
    train, val, test = (part.head(limit) for part in split_off(points, LABELS[corner], (0.7, 0.15, 0.15)))
    return MemoryDataModule(train, val, test, task="binary", outputs=1, batch_size=batch_size, seed=seed)
