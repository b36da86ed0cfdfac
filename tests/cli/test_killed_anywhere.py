"""Runs that are killed before any change to their folder: resumed, they end with the bits of one never killed."""

import json
import random
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import Command, weights

KILLER = Path(__file__).parents[1] / "kill_before.py"
TRAIN = ("data=xor_noisy", "data.limit=300", "data.batch_size=32", "model.hidden=[6,5]", "norm=batch_before",
         "trainer.accelerator=cpu", "trainer.log_every_n_steps=2", "probe=standard", "probe.every=2")  # fmt: skip
FIRST, LONGER = "trainer.max_epochs=2", "trainer.max_epochs=4"
# Told by the clock, by the machine, or by how the run was typed.
DIFFERS = {"durations", "environment", "command"}
Kill = Callable[..., tuple[int, list[str]]]


@pytest.fixture(scope="module", params=["beside", "tmpfs"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where runs are kept: on the file system of TMPDIR, and on another."""
    if request.param == "beside":
        yield tmp_path_factory.mktemp("runs")
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def kill(command: Command, tmp_path_factory: pytest.TempPathFactory) -> Kill:
    """`kill(n, folder, ...)` -> exit code and changes of `train.py ...`, killed before its n-th change to `folder`."""
    numbers = count()

    def call(n: int, folder: Path, *arguments: str) -> tuple[int, list[str]]:
        changes = tmp_path_factory.getbasetemp() / f"changes_{next(numbers)}"
        done = command(str(KILLER), str(n), str(folder), str(changes), "train.py", *arguments, fresh=False)
        assert done.returncode == (-signal.SIGKILL if n else 0), done.stderr
        return done.returncode, changes.read_text().splitlines() if changes.is_file() else []

    return call


@pytest.fixture(scope="module")
def never_killed(place: Path, kill: Kill) -> tuple[Path, Path, int, int]:
    """A run, the same run after it went on, and the number of changes that each made."""
    run, longer = place / "run", place / "longer"
    _, begun = kill(0, run, *TRAIN, FIRST, f"hydra.run.dir={run}")
    shutil.copytree(run, longer)
    _, gone_on = kill(0, longer, f"resume={longer}", LONGER)
    assert (len(begun), len(gone_on)) > (30, 25), "changes are seen"
    return run, longer, len(begun), len(gone_on)


def places(number: int, some: int, seed: int) -> list[int]:
    """Some of the places where a run can be killed."""
    return sorted(random.Random(seed).sample(range(1, number + 1), min(number, some)))


def content(folder: Path) -> dict[str, Any]:
    result = json.loads((folder / "result.json").read_text())
    with np.load(folder / "flow.npz") as flow:
        record = {name: flow[name].tobytes() for name in flow.files}
    return {
        "result": {key: value for key, value in result.items() if key not in DIFFERS},
        "metrics": (folder / "metrics.csv").read_text(),
        "record": record,
        "files": sorted(path.name for path in folder.rglob("*") if "tfevents" not in path.name),
        "typed": (folder / "overrides.yaml").read_text(),
        **{name: {key: value.tolist() for key, value in weights(folder, name).items()} for name in ("best", "last")},
    }


def ends_alike(folder: Path, whole: Path, command: Command, *again: str) -> None:
    """Resumes the run, or types it again where it had not begun, and compares all that it leaves."""
    begun = (folder / "overrides.yaml").is_file()
    typed = [f"resume={folder}"] if begun else [*TRAIN, FIRST, f"hydra.run.dir={folder}"]
    done = command("train.py", *typed, *again, fresh=False)
    assert done.returncode == 0, done.stderr
    found, expected = content(folder), content(whole)
    for part, value in expected.items():
        assert found[part] == value, part


def check_begun(n: int, place: Path, kill: Kill, command: Command, whole: Path) -> None:
    folder = place / f"killed_{n}"
    kill(n, folder, *TRAIN, FIRST, f"hydra.run.dir={folder}")
    if n % 2 and folder.exists():
        folder = folder.rename(place / f"moved_{n}")
    ends_alike(folder, whole, command)
    shutil.rmtree(folder)


def check_gone_on(n: int, place: Path, kill: Kill, command: Command, run: Path, whole: Path) -> None:
    folder = place / f"longer_{n}"
    shutil.copytree(run, folder)
    kill(n, folder, f"resume={folder}", LONGER)
    assert (folder / "checkpoints/last.ckpt").is_file()
    if n % 2:
        folder = folder.rename(place / f"longer_moved_{n}")
    ends_alike(folder, whole, command, LONGER)
    shutil.rmtree(folder)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "some",
    [
        pytest.param(3, marks=pytest.mark.part),
        pytest.param(12, marks=pytest.mark.slow),
        pytest.param(1000, id="every", marks=pytest.mark.exhaustive),
    ],
)
def test_killed_before_changes(some: int, place: Path, kill: Kill, command: Command, never_killed) -> None:
    run, longer, begun, gone_on = never_killed
    for n in places(begun, some, 0):
        check_begun(n, place, kill, command, run)
    for n in places(gone_on, some, 1):
        check_gone_on(n, place, kill, command, run, longer)
