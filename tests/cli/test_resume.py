"""A run that was killed and continued ends with the same weights as one that was never killed."""

import json
import random
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from commands import PATIENCE
from conftest import weights
from gradpath.flow import record
from gradpath.run import metrics
from gradpath.run.saved import load_curves

# tests/cli/test_in_a_clone.py stops a run and resumes it in fresh processes.
pytestmark = pytest.mark.forked

TRAIN = ("data.limit=3000", "data.batch_size=32", "model.hidden=[64,32]", "norm=batch_before", "trainer.max_epochs=6",
         "trainer.accelerator=cpu", "trainer.log_every_n_steps=5", "probe=standard", "probe.every=5")  # fmt: skip
STEPS = 6 * 94


def kill_at(step: int, folder: Path, start, *arguments: str) -> int:
    """Starts a run and kills it with SIGKILL once its metrics have reached `step`; returns the step they had reached."""
    process = start("train.py", *arguments)
    try:
        while process.poll() is None:
            rows = load_curves(folder)
            if rows and rows[-1]["step"] >= step:
                break
            time.sleep(0.01)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    return int(load_curves(folder)[-1]["step"])


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """The curves that TensorBoard reads from a run, as (step, value). Repeated equal points count once."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return {tag: sorted({(e.step, e.value) for e in events.Scalars(tag)}) for tag in events.Tags()["scalars"]}


@pytest.fixture(scope="module")
def never_killed(command, project: Path) -> Path:
    folder = project / "logs/runs/whole"
    done = command("train.py", *TRAIN, f"hydra.run.dir={folder}")
    assert done.returncode == 0, done.stderr
    return folder


def test_killed_at_random_steps_and_resumed(command, start, project: Path, never_killed: Path) -> None:
    step = random.Random(time.time_ns()).randrange(10, STEPS - 120)
    folder = project / f"logs/runs/killed_{step}"
    reached = kill_at(step, folder, start, *TRAIN, f"hydra.run.dir={folder}")
    assert not (folder / "result.json").exists()
    again = min(reached + 60, STEPS - 30)
    kill_at(again, folder, start, f"resume={folder}")
    done = command("train.py", f"resume={folder}")
    assert done.returncode == 0, done.stderr
    expected = weights(never_killed)
    assert all(torch.equal(value, expected[name]) for name, value in weights(folder).items()), f"killed at {step}"
    best = weights(never_killed, "best")
    assert all(torch.equal(value, best[name]) for name, value in weights(folder, "best").items())


def test_what_was_logged_is_whole_and_without_repeats(project: Path, never_killed: Path, start, command) -> None:
    folder = project / "logs/runs/killed_once"
    kill_at(150, folder, start, *TRAIN, f"hydra.run.dir={folder}")
    done = command("train.py", f"resume={folder}")
    assert done.returncode == 0, done.stderr
    assert load_curves(folder) == load_curves(never_killed)
    assert metrics.collect(folder) == metrics.collect(never_killed)
    ours, theirs = curves(folder), curves(never_killed)
    assert ours == theirs
    assert len(ours["train/loss"]) == STEPS // 5
    ours, theirs = record.load(folder), record.load(never_killed)
    assert ours["verdict"] == theirs["verdict"]
    for name in set(theirs) - {"verdict", "layer"}:
        assert np.array_equal(ours[name], theirs[name], equal_nan=True), name
    assert (folder / "config.yaml").read_text().replace(f"resume: {folder}", "resume: null") == (
        never_killed / "config.yaml"
    ).read_text()


def test_killed_before_the_first_checkpoint(command, start, project: Path, never_killed: Path) -> None:
    folder = project / "logs/runs/killed_early"
    kill_at(5, folder, start, *TRAIN, f"hydra.run.dir={folder}")
    if (folder / "checkpoints/last.ckpt").exists():
        pytest.fail("the run was faster than the kill: give it more steps per epoch")
    done = command("train.py", f"resume={folder}")
    assert done.returncode == 0, done.stderr
    expected = weights(never_killed)
    assert all(torch.equal(value, expected[name]) for name, value in weights(folder).items())


def test_resume_last_and_longer(command, project: Path) -> None:
    """A finished run goes on if more epochs are asked for."""
    small = ("data=xor", "model.hidden=[8]", "schedule=constant", "trainer.accelerator=cpu")
    assert command("train.py", *small, "trainer.max_epochs=4", "hydra.run.dir=logs/runs/longer_whole").returncode == 0
    assert command("train.py", *small, "trainer.max_epochs=2", "hydra.run.dir=logs/runs/longer").returncode == 0
    # A study's run does not count as the last run of train.py.
    shutil.copytree(project / "logs/runs/longer_whole", project / "logs/studies/one/cell")
    done = command("train.py", "resume=last", "trainer.max_epochs=4")
    assert done.returncode == 0, done.stderr
    first, second = weights(project / "logs/runs/longer_whole"), weights(project / "logs/runs/longer")
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert len([row for row in load_curves(project / "logs/runs/longer") if "test/loss" in row]) == 1


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
def test_stopped_by_hand(project: Path, signal_: signal.Signals, start, command) -> None:
    """Ctrl-C says how to go on, and leaves no result that looks like an end."""
    folder = project / f"logs/runs/stopped_{signal_.name}"
    process = start("train.py", *TRAIN, f"hydra.run.dir={folder}")
    while not load_curves(folder):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal_)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + signal_
    assert f"to continue: python train.py resume=logs/runs/stopped_{signal_.name}" in out
    assert "Traceback" not in err
    assert not (folder / "result.json").exists()
    assert command("train.py", f"resume=logs/runs/stopped_{signal_.name}").returncode == 0


def test_resume_last_is_the_last_that_was_stopped(command, project: Path) -> None:
    small = ("data=xor", "model.hidden=[8]", "trainer.accelerator=cpu", "trainer.max_epochs=2")
    for place, name in (("mine", "stopped"), ("runs", "finished")):
        assert command("train.py", *small, f"hydra.run.dir=logs/{place}/last_{name}").returncode == 0
    for started in list((project / "logs").rglob("overrides.yaml")):  # a list: what is removed is not walked into
        if started.parent.name not in ("last_stopped", "last_finished"):
            shutil.rmtree(started.parent, ignore_errors=True)
    # What Hydra writes of its own is no run.
    (project / "logs/mine/last_stopped/.hydra").mkdir()
    for name in ("config.yaml", "hydra.yaml", "overrides.yaml"):
        (project / "logs/mine/last_stopped/.hydra" / name).write_text("[]\n")
    (project / "logs/mine/last_stopped/result.json").unlink()
    done = command("train.py", "resume=last")
    assert done.returncode == 0, done.stderr
    assert (project / "logs/mine/last_stopped/result.json").is_file()
    again = command("train.py", "resume=last")
    assert again.returncode == 2
    assert "every run" in again.stderr
    assert "trainer.max_epochs= lets the newest go on" in again.stderr


@pytest.mark.parametrize("script", ["train.py", "scripts/probe.py"])
def test_ctrl_c_before_there_is_anything_to_lose(start, project: Path, script: str) -> None:
    """One line, and no folder left behind."""
    folder = project / "logs/early"
    # Fresh: what is interrupted is the import of torch.
    process = start(script, "model=deep", "model.depth=300", f"hydra.run.dir={folder}", fresh=True)
    # The command line has been found right, and torch is being imported: its library has just been loaded.
    while "libtorch_cpu" not in Path(f"/proc/{process.pid}/maps").read_text():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (130, "error: stopped.\n")
    assert not folder.exists()


def test_the_seconds_of_all_attempts_count(command, project: Path) -> None:
    """The checkpoint that a run goes on from knows how long it was trained. One that cannot be is no time."""
    folder = project / "logs/runs/seconds"
    tiny = ("data=xor", "data.steps_per_epoch=5", "trainer.max_epochs=2", "trainer.accelerator=cpu", "probe=none")
    assert command("train.py", *tiny, f"hydra.run.dir={folder}").returncode == 0
    last = folder / "checkpoints/last.ckpt"
    checkpoint = torch.load(last, weights_only=True)
    spent = checkpoint["callbacks"]["EpochCheckpoints"]["seconds"]
    assert 0 < spent <= json.loads((folder / "result.json").read_text())["durations"]["fit"]
    for epochs, seconds, least, most in ((3, 5000.0, 5000, 5100), (4, float("inf"), 0, 100)):
        checkpoint = torch.load(last, weights_only=True)
        checkpoint["callbacks"]["EpochCheckpoints"]["seconds"] = seconds
        torch.save(checkpoint, last)
        done = command("train.py", f"resume={folder}", f"trainer.max_epochs={epochs}")
        assert done.returncode == 0, done.stderr
        assert least < json.loads((folder / "result.json").read_text())["durations"]["fit"] < most
    checkpoint["callbacks"]["EpochCheckpoints"]["seconds"] = 10**400
    torch.save(checkpoint, last)
    refused = command("train.py", f"resume={folder}", "trainer.max_epochs=9")
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)
