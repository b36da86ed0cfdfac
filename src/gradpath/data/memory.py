"""A data set held in memory as one tensor, served in whole batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler, Sampler

from gradpath.data.batch import Batch
from gradpath.data.splits import absurdly_large, check_split, check_task


@dataclass(frozen=True, eq=False)
class MemoryDataset(Dataset[Batch]):
    """Two tensors whose first dimension is the sample. A batch is fetched by one indexing call, never sample by sample."""

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: int) -> Batch:
        return Batch(self.inputs[index], self.targets[index])

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """Fetches a whole batch. DataLoader calls this, so that its `collate_fn` has nothing left to do."""
        # numpy reads a list of numbers ten times faster than torch does.
        rows = torch.from_numpy(np.asarray(indices, dtype=np.int64))
        return Batch(self.inputs.index_select(0, rows), self.targets.index_select(0, rows))

    def head(self, count: int | None) -> "MemoryDataset":
        """Returns the first `count` samples, or all of them for None."""
        return MemoryDataset(self.inputs[:count], self.targets[:count])


class Share(Sampler[int]):
    """Samples every `world_size`-th index for evaluation. Unlike the sampler for training, it does not pad."""

    def __init__(self, size: int, rank: int, world_size: int) -> None:
        self.indices = range(rank, size, world_size)

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices)

    def __len__(self) -> int:
        return len(self.indices)


class MemoryDataModule(pl.LightningDataModule):
    """Training, validation and test sets in memory.

    The order of an epoch depends on the run's seed and the epoch's number alone: a resumed run sees what it would have
    seen, and several processes together see the batches of one.

    Args:
        train, val, test: the splits.
        task: "regression", "binary" or "multiclass".
        outputs: number of network outputs per sample: the classes, 1 for binary, or the regressed values.
        batch_size: samples per optimiser step, over all processes.
        shuffle: whether each epoch has a new order.
        mean, std: mean and standard deviation of the scaled inputs; batches are normalised with them on the device.
        scale: the inputs are divided by it first (255 for bytes).
        seed: seed of the order of the samples.

    Raises:
        ConfigError: a split is empty, or its samples do not fit the task; see `splits.check_split`.
    """

    def __init__(
        self,
        train: MemoryDataset,
        val: MemoryDataset,
        test: MemoryDataset,
        task: str,
        outputs: int,
        batch_size: int,
        shuffle: bool = True,
        mean: float = 0.0,
        std: float = 1.0,
        scale: float = 1.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.train, self.val, self.test = train, val, test
        self.task, self.outputs, self.batch_size, self.shuffle, self.seed = task, outputs, batch_size, shuffle, seed
        self.shift, self.spread = mean * scale, std * scale
        check_task(task, outputs)
        for name, split in (("training", train), ("validation", val), ("test", test)):
            check_split(name, split.inputs, split.targets, task, outputs)

    @property
    def in_features(self) -> int:
        """Values per sample."""
        return self.train.inputs[0].numel()

    def oddities(self) -> list[str]:
        """A sentence for each part of a split that has absurdly large numbers."""
        found = []
        for name, split in (("training", self.train), ("validation", self.val), ("test", self.test)):
            found.append(absurdly_large(f"{name} inputs", split.inputs, self.shift, self.spread))
            found.append(absurdly_large(f"{name} targets", split.targets) if self.task == "regression" else None)
        return [sentence for sentence in found if sentence]

    def sample(self, count: int) -> Batch:
        """Returns the first `count` training samples as the network sees them, on the CPU."""
        head = self.train.head(count)
        return self.on_after_batch_transfer(Batch(head.inputs, head.targets), 0)

    def train_dataloader(self) -> DataLoader[Batch]:
        rank, world_size = self._place()
        sampler: DistributedSampler[Batch] = DistributedSampler(
            self.train, world_size, rank, shuffle=self.shuffle, seed=self.seed
        )
        size = self.batch_size // world_size
        # BatchNorm cannot normalise a batch of one sample.
        alone = len(sampler) % size == 1 and len(sampler) > size
        return self._loader(self.train, sampler, size, drop_last=alone)

    def val_dataloader(self) -> DataLoader[Batch]:
        return self._evaluation(self.val)

    def test_dataloader(self) -> DataLoader[Batch]:
        return self._evaluation(self.test)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Normalises bytes to floats on the device, so that only a quarter of the memory is transferred."""
        inputs, targets = batch
        if inputs.dtype == torch.uint8 or (self.shift, self.spread) != (0.0, 1.0):
            # (x - shift) / spread in two passes over the batch instead of three.
            inputs = inputs.mul(1 / self.spread).sub_(self.shift / self.spread)
        return Batch(inputs, targets)

    def _evaluation(self, split: MemoryDataset) -> DataLoader[Batch]:
        # Larger batches: nothing is kept for a backward pass.
        return self._loader(split, Share(len(split), *self._place()), max(self.batch_size, 1000))

    def _place(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _loader(
        self, split: MemoryDataset, sampler: Sampler[int] | DistributedSampler[Any], size: int, drop_last: bool = False
    ) -> DataLoader[Batch]:
        pin = self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"
        return DataLoader(split, size, sampler=sampler, collate_fn=_whole, drop_last=drop_last, pin_memory=pin)


def split_off(inputs: Tensor, targets: Tensor, parts: Sequence[float]) -> list[MemoryDataset]:
    """Cuts the samples into consecutive pieces of these fractions. The last piece takes what is left."""
    edges = [0, *(round(sum(parts[: i + 1]) * len(inputs)) for i in range(len(parts) - 1)), len(inputs)]
    return [MemoryDataset(inputs[a:b], targets[a:b]) for a, b in pairwise(edges)]


def _whole(batch: Any) -> Any:
    return batch
