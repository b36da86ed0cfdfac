"""A finished run that goes on and fails before it has trained anything is left as it was: on a full disk, say."""

import errno
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gradpath.config.composition import compose
from gradpath.files import aside
from gradpath.flow import record
from gradpath.model.module import GradpathModule
from gradpath.run import going_on, train
from gradpath.run.metrics import MetricsFile
from gradpath.run.train import run, run_job
from in_process import by_command, contents

TINY = ("data=xor", "data.steps_per_epoch=3", "model.hidden=[4]", "trainer.max_epochs=2", "trainer.accelerator=cpu",
        "probe=standard")  # fmt: skip
LEFT = "the run is left as it was"
Resume = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "run"
    config, choices = compose(*TINY)
    assert run(config, choices, folder, [*TINY])["status"] == "ok"
    return folder


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


@pytest.fixture
def resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Resume:
    def call(folder: Path, epochs: int = 4) -> tuple[int, str, str]:
        typed = [f"resume={folder}", f"trainer.max_epochs={epochs}"]
        return by_command(run_job, typed, tmp_path, monkeypatch, capfd)

    monkeypatch.chdir(tmp_path)
    return call


def full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/somewhere")


def wrong(*_: Any, **__: Any) -> None:
    raise RuntimeError("this is wrong\nand more")


PLACES: dict[str, tuple[Any, str]] = {
    "keeping": (going_on, "_keep"),
    "overrides": (train, "start_folder"),
    "start": (train, "show_start"),
    "verdict at the start": (train, "show_verdict"),
    "record": (record, "cut"),
    "loading": (GradpathModule, "on_load_checkpoint"),
    "first step": (GradpathModule, "training_step"),
    "logging": (MetricsFile, "log_metrics"),
    "test": (GradpathModule, "test_step"),
    "end": (train, "judge"),
    "result": (train, "write_result"),
}


@pytest.mark.parametrize("failure", [full, wrong], ids=["full", "wrong"])
@pytest.mark.parametrize("place", PLACES)
def test_left_as_it_was(
    place: str, failure: Callable[..., None], folder: Path, resume: Resume, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing is left to train, the run may fail anywhere up to its end."""
    if (place, failure) in (("keeping", wrong), ("result", wrong)):
        pytest.skip("only a full disk ends it there")
    before = contents(folder)
    monkeypatch.setattr(*PLACES[place], failure)
    code, _, err = resume(folder, 2 if place in ("test", "end", "result") else 4)
    assert (code, err.count("\n")) == (1, 1), err
    assert LEFT in err
    assert contents(folder) == before


def test_a_divergence_stays_too(folder: Path, resume: Resume, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard removes the file before it watches the run again."""
    (folder / "divergence.json").write_text(json.dumps({"step": 6, "layer": "output", "quantity": "delta"}))
    before = contents(folder)
    monkeypatch.setattr(GradpathModule, "training_step", wrong)
    assert resume(folder)[0] == 1
    assert contents(folder) == before


def test_without_second_names(folder: Path, resume: Resume, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system may have no hard links."""
    before = contents(folder)
    monkeypatch.setattr(os, "link", full)
    monkeypatch.setattr(GradpathModule, "training_step", wrong)
    assert resume(folder)[0] == 1
    assert contents(folder) == before


@pytest.mark.parametrize(("place", "end"), [("show_start", "error: stopped.\n"), ("fit_and_test", "")])
def test_stopped_before_anything_was_trained(
    place: str, end: str, folder: Path, resume: Resume, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any) -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            if place == "fit_and_test":
                raise SystemExit(1)  # noqa: B904 - as Lightning does
            raise

    before = contents(folder)
    monkeypatch.setattr(train, place, stop)
    code, out, err = resume(folder)
    assert (code, err) == (130, end)
    assert end or "stopped; nothing was trained, and the run is left as it was" in out
    assert contents(folder) == before


def test_what_has_been_trained_is_kept(folder: Path, resume: Resume, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a new checkpoint the failure is the run's result, and what was kept aside goes."""
    step, checkpoint = GradpathModule.training_step, (folder / "checkpoints/last.ckpt").read_bytes()

    def fails(self: GradpathModule, *arguments: Any) -> Any:
        return wrong() if self.global_step > 10 else step(self, *arguments)

    monkeypatch.setattr(GradpathModule, "training_step", fails)
    code, _, err = resume(folder)
    assert (code, err.count("\n"), LEFT in err) == (1, 1, False)
    assert json.loads((folder / "result.json").read_text())["status"] == "failed"
    assert (folder / "checkpoints/last.ckpt").read_bytes() != checkpoint
    assert not list(folder.rglob(".*"))
    monkeypatch.setattr(GradpathModule, "training_step", step)
    assert resume(folder)[0] == 0


def test_what_a_killed_run_kept_aside_does_no_harm(folder: Path, resume: Resume) -> None:
    """It is neither a run nor put back, and it goes when the run has come to its end."""
    for name in ("result.json", "overrides.yaml", "config.yaml", "metrics.csv", "flow.npz"):
        aside(folder / name).write_text("of before")
    (folder / "result.json").unlink()
    assert resume(folder)[0] == 0
    assert json.loads((folder / "result.json").read_text())["metrics"]["last_epoch"] == 4
    assert not list(folder.rglob(".*"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 400 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    try:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(place)], capture_output=True)
    except OSError:
        pytest.skip("there is no mount")
    if mounted.returncode:
        pytest.skip("a file system cannot be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("left", [0, 8, 16, 24, 40])
def test_a_full_disk(left: int, small_disk: Path, finished: Path, resume: Resume) -> None:
    folder = Path(shutil.copytree(finished, small_disk / "run"))
    before = contents(folder)
    free = shutil.disk_usage(small_disk).free - left * 1024
    (small_disk / "filler").write_bytes(b"x" * free)
    code, _, err = resume(folder)
    assert code in (0, 1, 2)
    assert err.count("\n") == (code > 0), err
    if code:
        assert LEFT in err or code == 2, err
        assert contents(folder) == before, sorted(path.name for path in folder.rglob("*"))
    (small_disk / "filler").unlink()
    assert resume(folder)[0] == 0
