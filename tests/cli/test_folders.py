"""A run's folder: one process at a time, nothing written where a command was refused, nothing lost."""

import json
import os
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from board import wait_until
from conftest import Command, Start

pytestmark = pytest.mark.forked

TINY = ("data=xor_noisy", "data.limit=200", "data.epochs=2", "model.hidden=[6]", "trainer.accelerator=cpu", "probe=standard")
LONG = ("data=xor_noisy", "data.epochs=100000", "model.hidden=[6]", "trainer.accelerator=cpu", "probe=none")


def snapshot(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def finished(command: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "run"
    done = command("train.py", *TINY, f"hydra.run.dir={folder}")
    assert done.returncode == 0, done.stderr
    return folder


def test_one_process_at_a_time(command: Command, start: Start, project: Path, finished: Path) -> None:
    """The second says who is at work, `last` passes over it, and after SIGKILL it goes on at once."""
    folder, stopped = project / "logs/runs/held", project / "logs/runs/stopped"
    shutil.copytree(finished, stopped)
    (stopped / "result.json").unlink()
    # The newest of the runs that have been stopped.
    (stopped / "overrides.yaml").touch()
    first = start("train.py", *LONG, f"hydra.run.dir={folder}")
    try:
        wait_until((folder / "checkpoints/last.ckpt").is_file)
        before = (folder / "overrides.yaml").read_bytes()
        for typed in (f"resume={folder}", f"hydra.run.dir={folder}"):
            second = command("train.py", *(LONG if "run.dir" in typed else ()), typed)
            assert second.returncode == 2
            assert second.stderr.count("\n") == 1
        holder = f"process {first.pid} on {os.uname().nodename}"
        refused = command("train.py", f"resume={folder}", "trainer.max_epochs=5")
        assert refused.stderr == f"error: resume=logs/runs/held: {holder} is at work in it; wait for its end.\n"
        assert (folder / "overrides.yaml").read_bytes() == before
        assert command("train.py", "resume=last").returncode == 0
        assert (stopped / "result.json").is_file()
    finally:
        first.send_signal(signal.SIGKILL)
        first.communicate()
    again = start("train.py", f"resume={folder}")
    mark = (folder / "checkpoints/last.ckpt").stat().st_mtime_ns
    try:
        wait_until(lambda: (folder / "checkpoints/last.ckpt").stat().st_mtime_ns > mark)
    finally:
        again.send_signal(signal.SIGKILL)
        again.communicate()
        # Another test's `last` shall not find it.
        shutil.rmtree(folder)


def damaged(name: str, data: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(data)


DAMAGES: dict[str, tuple[Callable[[Path], object], tuple[str, ...], str]] = {
    "record": (damaged("flow.npz", b"PK\x03\x04"), (), "flow.npz: damaged"),
    "no record": (lambda folder: (folder / "flow.npz").unlink(), (), "flow.npz: missing"),
    "metrics": (damaged("metrics.csv", b"step,loss\n0,\xff\n"), (), "metrics.csv: damaged"),
    "no metrics": (lambda folder: (folder / "metrics.csv").unlink(), (), "metrics.csv: missing"),
    "checkpoint": (damaged("checkpoints/last.ckpt", b""), (), "last.ckpt: not a readable checkpoint"),
    "config": (damaged("config.yaml", b"seed: ["), (), "config.yaml: damaged"),
    "no config": (lambda folder: (folder / "config.yaml").unlink(), (), "config.yaml: missing"),
    "overrides": (damaged("overrides.yaml", b"- [1"), (), "overrides.yaml: damaged"),
    "options": (damaged("overrides.yaml", b"- --config-dir=/tmp\n"), (), "overrides.yaml: damaged"),
    "hydra": (damaged("overrides.yaml", b"- +hydra.callbacks.a._target_=os.system\n"), (), "overrides.yaml: damaged"),
    "hydra's": (damaged("overrides.yaml", b"- hydra.run.dir=/tmp/elsewhere\n"), (), "overrides.yaml: damaged"),
    "another run": (lambda folder: None, ("optimizer.lr=0.5",), "only trainer.* keys can change"),
    "fewer epochs": (lambda folder: None, ("trainer.max_epochs=1",), "the run has done 2 epochs already"),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_a_resume_that_fails_leaves_the_result(command: Command, finished: Path, tmp_path: Path, case: str) -> None:
    damage, typed, message = DAMAGES[case]
    folder = Path(shutil.copytree(finished, tmp_path / "run"))
    damage(folder)
    before = snapshot(folder)
    refused = command("train.py", f"resume={folder}", *(typed or ("trainer.max_epochs=3",)))
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1), refused.stderr
    assert message in refused.stderr
    assert snapshot(folder) == before


def test_bytes_at_random(command: Command, finished: Path, tmp_path: Path) -> None:
    """Any file of a run, cut or overwritten at random: one line, and every other file as it was; or the run goes on."""
    drawn = random.Random(0)
    names = ["config.yaml", "overrides.yaml", "metrics.csv", "flow.npz", "checkpoints/last.ckpt", "checkpoints/best.ckpt"]
    for number in range(12):
        folder = Path(shutil.copytree(finished, tmp_path / f"run_{number}"))
        path = folder / drawn.choice(names)
        data = bytearray(path.read_bytes())
        if number % 2:
            del data[drawn.randrange(len(data)) :]
        else:
            for _ in range(20):
                data[drawn.randrange(len(data))] = drawn.randrange(256)
        path.write_bytes(data)
        before = snapshot(folder)
        done = command("train.py", f"resume={folder}", "trainer.max_epochs=3")
        assert "Traceback" not in done.stderr, (number, path.name, done.stderr)
        if done.returncode:
            assert (done.returncode, done.stderr.count("\n")) == (2, 1), (number, path.name, done.stderr)
            assert snapshot(folder) == before, (number, path.name)
        else:
            assert json.loads((folder / "result.json").read_text())["status"] == "ok"


def test_the_same_sweep_twice_loses_nothing(command: Command, project: Path) -> None:
    sweep = ("train.py", "-m", *TINY, "seed=0,1", "hydra.sweep.dir=logs/sweeps/twice")
    assert command(*sweep).returncode == 0
    before = snapshot(project / "logs/sweeps/twice")
    again = command(*sweep)
    assert (again.returncode, "0 to run, 2 done before" in again.stdout) == (0, True)
    assert snapshot(project / "logs/sweeps/twice") == before


def test_what_a_killed_writer_leaves_goes(command: Command, finished: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / "run"))
    for name in (".flow.npz.123", "checkpoints/.last.ckpt.4567", ".result.json.8"):
        (folder / name).write_bytes(b"half of it")
    (folder / ".notes").write_text("mine")
    assert command("train.py", f"resume={folder}", "trainer.max_epochs=3").returncode == 0
    assert [path.name for path in folder.rglob(".*")] == [".notes"]


def test_a_folder_of_any_name(command: Command, finished: Path, tmp_path: Path) -> None:
    """Characters that mean something to the shell's, Hydra's or OmegaConf's grammar are only characters here."""
    rng = random.Random(0)
    names = [
        "it's",
        "back\\",
        "${seed}",
        "\\${seed}",
        *("".join(rng.choices("'\"\\${}[]=,#~ :@%\u00fc", k=9)) for _ in range(3)),
    ]
    for name in names:
        shutil.copytree(finished, tmp_path / name)
        done = command("train.py", f"resume={tmp_path / name}", "trainer.max_epochs=3")
        assert done.returncode == 0, (name, done.stderr)
        assert json.loads((tmp_path / name / "result.json").read_text())["metrics"]["last_epoch"] == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_a_schedule_that_is_stretched(command: Command, finished: Path, tmp_path: Path) -> None:
    """Half a cosine had come to 0 after two epochs; of three it has (1 + cos(2 pi / 3)) / 2 = 1/4 there."""
    shutil.copytree(finished, tmp_path / "run")
    done = command("train.py", f"resume={tmp_path / 'run'}", "trainer.max_epochs=3")
    assert (
        "warning: schedule=cosine spreads over the whole run, now 3 epochs instead of 2: the learning rate goes on at "
        "0.00025 instead of 0\n"
    ) in done.stdout


def steps(folder: Path) -> list[int]:
    with np.load(folder / "flow.npz") as record:
        return [int(step) for step in record["step"]]


def test_clipping_that_begins_later(command: Command, finished: Path, tmp_path: Path) -> None:
    """What was not measured before is NaN."""
    shutil.copytree(finished, tmp_path / "run")
    done = command("train.py", f"resume={tmp_path / 'run'}", "trainer.max_epochs=3", "trainer.gradient_clip_val=1.0")
    assert done.returncode == 0, done.stderr
    before = len(steps(finished))
    with np.load(tmp_path / "run/flow.npz") as record:
        clipped = record["weight_grad_norm_clipped"]
    assert np.isnan(clipped[:before]).all()
    assert np.isfinite(clipped[before:]).any()


def test_what_was_measured_past_the_last_checkpoint_goes(command: Command, finished: Path, tmp_path: Path) -> None:
    """This holds even if the run has nothing left to train."""
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    (folder / "result.json").unlink()
    with np.load(folder / "flow.npz") as record:
        content = dict(record)
    measured = [name for name in content if content[name].shape[:1] == content["step"].shape and content[name].ndim == 2]
    longer = {name: np.concatenate([content[name], content[name][-1:]]) for name in measured}
    np.savez(folder / "flow.npz", **content | longer | {"step": np.append(content["step"], 10**6)})
    assert command("train.py", f"resume={folder}").returncode == 0
    assert steps(folder) == steps(finished)


def test_a_users_own_files_stay(command: Command, tmp_path: Path) -> None:
    """Only the temporary files of a killed writer go."""
    own = [".notes.2024", ".zcompdump-host-5.9", "keep"]
    for name in (*own, ".result.json.12345"):
        (tmp_path / name).write_text(name)
    (tmp_path / ".cache.1").mkdir()
    done = command("train.py", *TINY, f"hydra.run.dir={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert [(tmp_path / name).read_text() for name in own] == own
    assert (tmp_path / ".cache.1").is_dir()
    assert not (tmp_path / ".result.json.12345").exists()


def test_epochs_by_the_key_that_does_not_count(command: Command, tmp_path: Path) -> None:
    typed = [text.replace("data.epochs", "trainer.max_epochs") for text in TINY]
    assert command("train.py", *typed, f"hydra.run.dir={tmp_path / 'run'}").returncode == 0
    refused = command("train.py", f"resume={tmp_path / 'run'}", "data.epochs=3")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "the run was begun with trainer.max_epochs=2, which counts; write trainer.max_epochs=." in refused.stderr


def test_no_experiment_in_a_sweep(command: Command, tmp_path: Path) -> None:
    done = command("train.py", "-m", "experiment=null", "seed=0,1", *TINY, f"hydra.sweep.dir={tmp_path / 'sweep'}")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "sweep").glob("*/result.json"))) == 2
