"""MNIST as it is on disk, and every way its files can be wrong."""

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from gradpath.config.checks import PROJECT
from gradpath.data.images import images
from gradpath.data.memory import MemoryDataModule
from gradpath.errors import ConfigError

ARCHIVES = sorted((PROJECT / "data/MNIST/raw").glob("*.gz"))


def read(root: Path, **options: object) -> MemoryDataModule:
    arguments = {"dataset": "MNIST", "batch_size": 128, "limit": None, "validation": 5000, "split_seed": 0}
    return images(**{**arguments, "root": str(root), "mean": 0.1307, "std": 0.3081, **options})


def copy_to(root: Path, name: str = "MNIST") -> Path:
    raw = root / name / "raw"
    raw.mkdir(parents=True)
    for archive in ARCHIVES:
        shutil.copy(archive, raw)
    return raw


def test_sizes_and_moments() -> None:
    data = read(PROJECT / "data")
    assert [len(s) for s in (data.train, data.val, data.test)] == [55000, 5000, 10000]
    assert data.train.inputs.dtype == torch.uint8
    assert data.train.inputs.shape[1] == 784
    everything = torch.cat([data.train.inputs, data.val.inputs]).float() / 255
    assert everything.mean().item() == pytest.approx(0.1307, abs=1e-4)
    assert everything.std().item() == pytest.approx(0.3081, abs=1e-4)
    assert torch.bincount(data.test.targets).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    inputs, targets = data.sample(500)
    assert inputs.mean().item() == pytest.approx(0, abs=0.05)
    assert targets.shape == (500,)


def test_the_split_has_its_own_seed() -> None:
    first = read(PROJECT / "data", seed=0)
    assert torch.equal(first.val.inputs, read(PROJECT / "data", seed=7).val.inputs)
    assert not torch.equal(first.val.inputs, read(PROJECT / "data", split_seed=1).val.inputs)


def test_every_image_is_trained_on_or_held_out() -> None:
    """Once: training and validation together are the archive, as bytes."""
    data = read(PROJECT / "data")
    archive = gzip.decompress((PROJECT / "data/MNIST/raw/train-images-idx3-ubyte.gz").read_bytes())[16:]
    images = np.frombuffer(archive, dtype=np.uint8).reshape(-1, 784)
    split = np.concatenate([data.train.inputs.numpy(), data.val.inputs.numpy()])
    assert sorted(map(hash, map(bytes, split))) == sorted(map(hash, map(bytes, images)))


def test_limit() -> None:
    data = read(PROJECT / "data", limit=100)
    assert [len(s) for s in (data.train, data.val, data.test)] == [100, 100, 100]


def test_the_limit_takes_the_first_of_the_split() -> None:
    whole, few = read(PROJECT / "data"), read(PROJECT / "data", limit=100)
    for name in ("train", "val", "test"):
        assert torch.equal(getattr(few, name).inputs, getattr(whole, name).inputs[:100])
        assert torch.equal(getattr(few, name).targets, getattr(whole, name).targets[:100])


def test_other_files_are_read_again(tmp_path: Path) -> None:
    """What is kept in memory is not what has changed on the disk, nor what lies in another place."""
    raw = copy_to(tmp_path)
    before = read(tmp_path).test.targets.clone()
    unpacked = raw / "t10k-labels-idx1-ubyte"
    content = bytearray(unpacked.read_bytes())
    content[8] = (content[8] + 1) % 10
    unpacked.write_bytes(content)
    after = read(tmp_path).test.targets
    assert (after != before).nonzero().tolist() == [[0]]
    assert torch.equal(read(PROJECT / "data").test.targets, before)


def test_a_truncated_archive(tmp_path: Path) -> None:
    raw = copy_to(tmp_path)
    archive = raw / "train-images-idx3-ubyte.gz"
    archive.write_bytes(archive.read_bytes()[:500_000])
    with pytest.raises(ConfigError, match=r"MNIST cannot be read .*put undamaged train-images-idx3-ubyte.gz"):
        read(tmp_path)


def test_a_damaged_archive(tmp_path: Path) -> None:
    raw = copy_to(tmp_path)
    archive = raw / "t10k-labels-idx1-ubyte.gz"
    content = bytearray(archive.read_bytes())
    content[2000] ^= 0xFF
    archive.write_bytes(content)
    with pytest.raises(ConfigError, match="cannot be read"):
        read(tmp_path)


def test_a_damaged_unpacked_file(tmp_path: Path) -> None:
    raw = copy_to(tmp_path)
    read(tmp_path)
    unpacked = raw / "train-images-idx3-ubyte"
    unpacked.write_bytes(unpacked.read_bytes()[:-1000])
    with pytest.raises(ConfigError, match="remove the unpacked files"):
        read(tmp_path)


def test_labels_out_of_range_in_the_files(tmp_path: Path) -> None:
    raw = copy_to(tmp_path)
    read(tmp_path)
    unpacked = raw / "t10k-labels-idx1-ubyte"
    content = bytearray(unpacked.read_bytes())
    content[-1] = 200
    unpacked.write_bytes(content)
    with pytest.raises(ConfigError, match="test labels run from 0 to 200, must be 0 to 9"):
        read(tmp_path)


@pytest.mark.parametrize("dataset", ["FashionMNIST", "KMNIST"])
def test_what_is_not_there_and_cannot_be_fetched(dataset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A proxy that nobody listens on: the real download code runs and finds no network, here as anywhere.
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, dataset=dataset)
    assert f"{dataset}/raw" in str(caught.value)
    assert "train-images-idx3-ubyte.gz" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dataset", ["FashionMNIST", "KMNIST"])
def test_the_relatives_are_read_the_same_way(dataset: str, tmp_path: Path) -> None:
    """Their archives are not shipped; MNIST's unpacked files under their name go through the same door."""
    raw = tmp_path / dataset / "raw"
    raw.mkdir(parents=True)
    for archive in ARCHIVES:
        (raw / archive.stem).write_bytes(gzip.decompress(archive.read_bytes()))
    assert len(read(tmp_path, dataset=dataset).train) == 55000


@pytest.mark.parametrize("dataset", ["CIFAR10", "mnist", "Nothing"])
def test_other_data_sets_are_refused(dataset: str) -> None:
    with pytest.raises(ConfigError, match="must be MNIST, FashionMNIST or KMNIST"):
        read(PROJECT / "data", dataset=dataset)


def test_more_validation_than_there_is() -> None:
    with pytest.raises(ConfigError, match="must be less than the 60000"):
        read(PROJECT / "data", validation=60000)
