"""MNIST and its relatives, read by torchvision."""

from functools import lru_cache
from pathlib import Path

import torch
import torchvision
from filelock import FileLock
from torchvision.datasets import MNIST

from gradpath.data.memory import MemoryDataModule, MemoryDataset
from gradpath.errors import ConfigError


def images(
    dataset: str,
    root: str,
    batch_size: int,
    limit: int | None,
    validation: int,
    split_seed: int,
    mean: float,
    std: float,
    seed: int = 0,
) -> MemoryDataModule:
    """10 classes of 28 x 28 bytes: (60,000 - validation) / validation / 10,000 samples.

    Args:
        dataset: a class of torchvision.datasets that is laid out like MNIST.
        root: the folder with `<dataset>/raw/`; missing archives are downloaded to it.
        validation: samples of the training archive kept apart, drawn with `split_seed`.
        mean, std: mean and standard deviation of the pixels in [0, 1].

    Raises:
        ConfigError: no such data set, or its files are missing, damaged and out of reach.
    """
    kind = getattr(torchvision.datasets, dataset, None)
    if not (isinstance(kind, type) and issubclass(kind, MNIST)):
        raise ConfigError(f"data.dataset={dataset}: must be MNIST, FashionMNIST or KMNIST.")
    images, labels = _read(kind, Path(root), train=True)
    if not 0 < validation < len(images):
        raise ConfigError(f"data.validation={validation}: must be less than the {len(images)} training samples.")
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(split_seed))
    # Only what is used is copied: perhaps 640 of 55,000 images.
    kept, held_out = order[:-validation][:limit], order[-validation:][:limit]
    return MemoryDataModule(
        MemoryDataset(images[kept], labels[kept]),
        MemoryDataset(images[held_out], labels[held_out]),
        MemoryDataset(*_read(kind, Path(root), train=False)).head(limit),
        task="multiclass",
        outputs=10,
        batch_size=batch_size,
        mean=mean,
        std=std,
        scale=255.0,
        seed=seed,
    )


def _read(kind: type[MNIST], root: Path, train: bool) -> tuple[torch.Tensor, torch.Tensor]:
    folder, lock = root / kind.__name__ / "raw", root / f".{kind.__name__}.lock"
    made = [place for place in (root, *root.parents) if not place.exists()]
    try:
        root.mkdir(parents=True, exist_ok=True)
        # Two runs that start together in a fresh clone must not read what the other has half unpacked.
        with FileLock(lock):
            return _unpacked(kind.__name__, root.absolute(), train, _marks(folder))
    # torchvision: RuntimeError after failed downloads, OSError or EOFError for a broken archive, AssertionError and
    # ValueError for a file of the wrong size.
    except (RuntimeError, OSError, EOFError, AssertionError, ValueError) as error:
        # Empty folders that torchvision and we made for files that could not be downloaded.
        for place in (folder, folder.parent, *made):
            if place.is_dir() and not set(place.iterdir()) - {lock}:
                lock.unlink(missing_ok=True)
                place.rmdir()
        names = ", ".join(Path(name).name for name, _ in kind.resources)
        raise ConfigError(
            f"data: {kind.__name__} cannot be read ({_reason(error)}): put undamaged {names} into {folder} "
            "and remove the unpacked files beside them."
        ) from None


@lru_cache(maxsize=2)
def _unpacked(
    kind: str, root: Path, train: bool, marks: frozenset[tuple[str, int, int]]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Kept for the next run of a sweep, the training and the test files of one data set; nobody writes into them.

    Args:
        kind: the class's name. marks: of the files as they are, so that other files are read again.
    """
    data = getattr(torchvision.datasets, kind)(str(root), train=train, download=True)
    return data.data.flatten(1), data.targets


def _marks(folder: Path) -> frozenset[tuple[str, int, int]]:
    """Name, size and time of change of each file."""
    found = [(path.name, path.stat()) for path in folder.glob("*")]
    return frozenset((name, stat.st_size, stat.st_mtime_ns) for name, stat in found)


def _reason(error: Exception) -> str:
    text = str(error).splitlines()
    return text[0].rstrip(":. ") if text else type(error).__name__
