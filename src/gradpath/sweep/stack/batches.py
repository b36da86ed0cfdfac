"""Which samples every run of a stack sees, and when: the order that it would have alone."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from gradpath.data.batch import Batch
from gradpath.data.memory import MemoryDataModule


class Batches:
    """The batches of training of all runs. The data are held once.

    Args:
        data: the data set; its own seed does not count.
        seeds: of each run's order.
        device: where the runs train.
    """

    def __init__(self, data: MemoryDataModule, seeds: Sequence[int], device: torch.device) -> None:
        self.data, self.seeds, self.device = data, seeds, device
        self.inputs = data.train.inputs.to(device)
        self.targets = data.train.targets.to(device)
        self.count = len(data.train_dataloader())

    def of_epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch: inputs (runs, batch, ...), targets (runs, batch, ...).

        Runs of one order share their inputs' memory.
        """
        orders = self.orders(epoch)
        alone = len(orders) == 1
        for first in range(0, self.count * self.data.batch_size, self.data.batch_size):
            chosen = orders[:, first : first + self.data.batch_size]
            batch = self.taken(chosen)
            yield Batch(*(one.expand(len(self.seeds), *one.shape[1:]) for one in batch)) if alone else batch

    def orders(self, epoch: int) -> Tensor:
        """The orders of all runs in an epoch, (runs, samples); (1, samples) if all have the same."""
        seeds = [*dict.fromkeys(self.seeds)] if self.data.shuffle else self.seeds[:1]
        found = torch.stack([self.order(seed, epoch) for seed in seeds]).to(self.device)
        if 1 < len(seeds) < len(self.seeds):
            place = {seed: index for index, seed in enumerate(seeds)}
            found = found[[place[seed] for seed in self.seeds]]
        return found

    def order(self, seed: int, epoch: int) -> Tensor:
        """The order of the samples in an epoch, as torch's `DistributedSampler` makes it for one process."""
        count = len(self.inputs)
        if not self.data.shuffle:
            return torch.arange(count)
        return torch.randperm(count, generator=torch.Generator().manual_seed(seed + epoch))

    def taken(self, chosen: Tensor) -> Batch:
        """The samples with these numbers, (runs, batch)."""
        runs, size = chosen.shape
        rows = chosen.flatten()
        inputs, targets = self.inputs.index_select(0, rows), self.targets.index_select(0, rows)
        inputs, targets = self.data.on_after_batch_transfer(Batch(inputs, targets), 0)
        return Batch(inputs.view(runs, size, -1), targets.view(runs, size, *targets.shape[1:]))
