"""Batches, their order, and their division among processes."""

from itertools import chain

import pytest
import torch
from torch.utils.data import DataLoader, DistributedSampler

from gradpath.data.gaussian import gaussian
from gradpath.data.memory import MemoryDataModule, MemoryDataset, Share
from gradpath.data.sine import sine
from gradpath.data.xor import CORNERS, xor, xor_noisy
from gradpath.errors import ConfigError


def numbered(size: int, batch_size: int, seed: int = 0) -> MemoryDataModule:
    split = MemoryDataset(torch.arange(size, dtype=torch.float32)[:, None], torch.zeros(size, dtype=torch.long))
    return MemoryDataModule(split, split, split, "binary", 1, batch_size, seed=seed)


def epoch(loader: DataLoader, number: int = 0) -> list[list[int]]:
    loader.sampler.set_epoch(number)
    return [batch.inputs[:, 0].int().tolist() for batch in loader]


def test_a_batch_is_fetched_whole() -> None:
    fetched = []

    class Watched(MemoryDataset):
        def __getitems__(self, indices):
            fetched.append(len(indices))
            return super().__getitems__(indices)

        def __getitem__(self, index):
            raise AssertionError("sample by sample")

    module = numbered(100, 32)
    module.train = Watched(module.train.inputs, module.train.targets)
    epoch(module.train_dataloader())
    assert fetched == [32, 32, 32, 4]


def test_the_order_follows_from_seed_and_epoch_alone() -> None:
    first = epoch(numbered(100, 10).train_dataloader(), 3)
    torch.manual_seed(99)
    assert epoch(numbered(100, 10).train_dataloader(), 3) == first
    assert epoch(numbered(100, 10).train_dataloader(), 4) != first
    assert epoch(numbered(100, 10, seed=1).train_dataloader(), 3) != first
    assert sorted(chain.from_iterable(first)) == list(range(100))


def test_two_processes_share_the_batches_of_one() -> None:
    whole = epoch(numbered(96, 16).train_dataloader())
    module = numbered(96, 16)
    halves = []
    for rank in (0, 1):
        sampler = DistributedSampler(module.train, 2, rank, shuffle=True, seed=0)
        halves.append(epoch(module._loader(module.train, sampler, 8)))
    assert [sorted(a + b) for a, b in zip(*halves, strict=True)] == [sorted(batch) for batch in whole]


def test_lightnings_own_sampler_works() -> None:
    """The data set is an ordinary one: wrapped in torch's sampler by anyone, it serves the same batches."""
    module = numbered(20, 4)
    sampler = DistributedSampler(module.train, 2, 1, shuffle=False)
    loader = DataLoader(module.train, 4, sampler=sampler, collate_fn=lambda batch: batch)
    assert [batch.inputs[:, 0].int().tolist() for batch in loader] == [[1, 3, 5, 7], [9, 11, 13, 15], [17, 19]]
    assert module.train[3].inputs.item() == 3


def test_evaluation_sees_every_sample_once() -> None:
    assert sorted([*Share(7, 0, 3), *Share(7, 1, 3), *Share(7, 2, 3)]) == list(range(7))
    assert [len(Share(7, rank, 3)) for rank in range(3)] == [3, 2, 2]


def test_a_last_batch_of_one_sample_is_left_out() -> None:
    assert [len(b) for b in epoch(numbered(65, 32).train_dataloader())] == [32, 32]
    assert [len(b) for b in epoch(numbered(66, 32).train_dataloader())] == [32, 32, 2]
    assert [len(b) for b in epoch(numbered(3, 1).train_dataloader())] == [1, 1, 1]


def test_bytes_are_normalised_and_floats_left_alone() -> None:
    bytes_ = MemoryDataset(torch.tensor([[0, 255, 51]], dtype=torch.uint8), torch.tensor([0]))
    module = MemoryDataModule(bytes_, bytes_, bytes_, "binary", 1, 1, mean=0.2, std=0.5, scale=255.0)
    assert torch.allclose(module.sample(1).inputs, torch.tensor([[-0.4, 1.6, 0.0]]), atol=1e-6)
    assert bytes_.inputs.tolist() == [[0, 255, 51]]
    assert numbered(3, 1).sample(3).inputs.tolist() == [[0.0], [1.0], [2.0]]
    floats = numbered(3, 1).train
    scaled = MemoryDataModule(floats, floats, floats, "binary", 1, 1, mean=1.0, std=2.0)
    assert scaled.sample(3).inputs.tolist() == [[-0.5], [0.0], [0.5]]
    assert floats.inputs.tolist() == [[0.0], [1.0], [2.0]]


@pytest.mark.parametrize(("labels", "outputs"), [([0, 10], 10), ([-1, 3], 10), ([0, 2], 1)])
def test_labels_outside_the_range(labels: list[int], outputs: int) -> None:
    split = MemoryDataset(torch.zeros(2, 3), torch.tensor(labels))
    with pytest.raises(
        ConfigError, match=rf"labels run from {min(labels)} to {max(labels)}, must be 0 to {max(outputs, 2) - 1}"
    ):
        MemoryDataModule(split, split, split, "multiclass" if outputs > 1 else "binary", outputs, 2)


def test_an_empty_split() -> None:
    split = MemoryDataset(torch.zeros(2, 3), torch.tensor([0, 1]))
    with pytest.raises(ConfigError, match="validation set is empty"):
        MemoryDataModule(split, split.head(0), split, "binary", 1, 2)


def test_xor_serves_the_truth_table_at_every_step() -> None:
    batches = list(xor(steps_per_epoch=3).train_dataloader())
    assert len(batches) == 3
    for batch in batches:
        assert torch.equal(batch.inputs, CORNERS)
        assert batch.targets.tolist() == [0, 1, 1, 0]


def test_noisy_xor_labels_the_nearest_corner() -> None:
    data = xor_noisy(samples=2000, noise=0.05, data_seed=0, batch_size=10)
    assert [len(s) for s in (data.train, data.val, data.test)] == [1400, 300, 300]
    nearest = (data.train.inputs > 0.5).long()
    assert torch.equal(nearest[:, 0] ^ nearest[:, 1], data.train.targets)
    assert torch.equal(data.train.inputs, xor_noisy(2000, 0.05, 0, 10, seed=5).train.inputs)


def test_sine() -> None:
    data = sine(samples=2000, noise=0.05, data_seed=0, batch_size=10, limit=100)
    assert data.train.inputs.shape == (100, 1)
    residual = data.train.targets - torch.sin(torch.pi * data.train.inputs)
    assert residual.std().item() == pytest.approx(0.05, rel=0.3)


def test_gaussian() -> None:
    data = gaussian(samples=2000, features=50, classes=7, data_seed=0, batch_size=10)
    assert data.in_features == 50
    assert data.train.inputs.square().mean().item() == pytest.approx(1, rel=0.02)
    assert data.train.targets.unique().tolist() == list(range(7))


def test_absurdly_large_numbers_are_named() -> None:
    """In the split, the row and the column where they are; what normalising makes small is none."""
    torch.manual_seed(0)
    x, y = torch.randn(20, 3), torch.randn(20, 1)
    parts = [MemoryDataset(x.clone(), y.clone()) for _ in range(3)]
    assert MemoryDataModule(*parts, "regression", 1, 4).oddities() == []
    parts[1].inputs[4, 2] = -3e12
    parts[1].inputs[7, 0] = 5e5
    parts[2].targets[6, 0] = 99_999
    inputs, targets = MemoryDataModule(*parts, "regression", 1, 4).oddities()
    assert inputs.startswith(
        "the validation inputs have -3e+12 in row 4, column 2 (from 0), and 1 more are as large: over 10,000 "
    )
    assert targets.startswith("the test targets have 1e+05 in row 6, column 0 (from 0): over 10,000 times")
    years = MemoryDataset(1.7e9 + 3e6 * x, y)
    assert len(MemoryDataModule(years, years, years, "regression", 1, 4).oddities()) == 3
    assert MemoryDataModule(years, years, years, "regression", 1, 4, mean=1.7e9, std=3e6).oddities() == []
