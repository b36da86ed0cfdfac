"""Runs commands of README.md and docs/ as they stand there, by a shell in a copy as a clone is, and at full size.

tests/cli/test_as_typed.py runs the others.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import image

from board import wait_until
from commands import environment, heeds_interrupts
from gradpath.config.checks import PROJECT
from pages import Ran, commands, numbers

# (b) Run as it stands in a fresh copy by `make test-all`. The trainings are in the README's order.
TRAININGS = [
    "make train",
    "python train.py data=xor model=two_layer",
    "python train.py data=xor model=perceptron",
    "python train.py resume=last",
    "python train.py resume=last trainer.max_epochs=20",
    "python scripts/evaluate.py run=last",
]
OTHERS = [
    "python train.py --help",
    "python scripts/probe.py -m activation=sigmoid,tanh,relu init=xavier_normal,critical model=deep",
]
# Of the pictures on the pages. The last one is the first one's, in another place.
PICTURES = [
    "python scripts/phase_diagram.py gelu",
    ".venv/bin/python scripts/phase_diagram.py tanh --out docs/images/phase_diagram_tanh.png",
    ".venv/bin/python scripts/phase_diagram.py gelu --out docs/images/phase_diagram_gelu.png",
]
# These take from minutes to an hour. `make test-all` starts them as they stand, and presses Ctrl-C after a first part.
BEGUN = [
    "python scripts/tour.py",
    "python scripts/study.py learning_rate rates=[3,0.3,0.03] optimizer=sgd activation=tanh",
    "python scripts/trainability.py",
    "python scripts/compare_init.py",
    "python scripts/check_outlook.py",
    "python scripts/check_outlook.py adam",
]
# These run tests or hours of trainings. `make -n` says what they would run.
PRINTED = {
    "make check": "mypy",
    "make test": "-m pytest",
    "make test-all": '-m pytest --fresh -m "not planted and not exhaustive and not part"',
    "make exhaustive": "-m pytest -m exhaustive",
    "make faults": "-m pytest -n 0 -m planted",
    "make science": "scripts/verify_science.py",
    "make studies": "scripts/study.py --all --pages docs/studies",
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh copy of the tracked files, as a clone is, with this project's .venv."""
    folder = tmp_path_factory.mktemp("clone")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(PROJECT / name, folder / name)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


def shell(typed: str, copy: Path) -> "subprocess.Popen[str]":
    """Types a line into a shell in the copy, in which .venv is active."""
    own = {name: value for name, value in environment(copy).items() if not name.startswith(("MAKE", "MFLAGS", "ARGS"))}
    return subprocess.Popen(
        ["bash", "-c", f"source .venv/bin/activate; {typed}"], cwd=copy, env=own, text=True, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=heeds_interrupts,
    )  # fmt: skip


@pytest.mark.parametrize("typed", PRINTED)
def test_what_make_would_run(copy: Path, typed: str) -> None:
    out, err = shell(typed.replace("make", "make -n"), copy).communicate(timeout=60)
    assert PRINTED[typed] in out, err


def stop(process: "subprocess.Popen[str]", begun: Callable[[], Any]) -> str:
    """Presses Ctrl-C, as a terminal does, once the command has begun. Returns its last words."""
    try:
        wait_until(begun, 600, ended=lambda: process.poll() is not None)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=240)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130, err
    return err.splitlines()[-1] if err else ""


def unfinished(logs: Path) -> bool:
    """Whether a run has a checkpoint and no result."""
    return any(not (path.parents[1] / "result.json").exists() for path in logs.glob("runs/*/*/checkpoints/last.ckpt"))


def ran(typed: str, copy: Path) -> Ran:
    """Types a line, and waits for its end."""
    logs = copy / "logs"
    before = {path: path.stat().st_mtime_ns for path in logs.rglob("result.json")}
    process = shell(typed, copy)
    out, err = process.communicate(timeout=900)
    assert process.returncode == 0, (typed, err)
    return Ran.now(out, [path.parent for path in logs.rglob("result.json") if before.get(path) != path.stat().st_mtime_ns])


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_trainings_at_size(copy: Path) -> None:
    """In a clone, in the README's order: what the comments promise comes true."""
    one, solved, stuck = (ran(typed, copy) for typed in TRAININGS[:3])
    stop(shell("python train.py", copy), lambda: unfinished(copy / "logs"))
    resumed, longer, evaluated = (ran(typed, copy) for typed in TRAININGS[3:])
    (promised,) = (float(number) for typed in commands() for number in re.findall(r"([\d.]+) % on the test", typed.promise))
    assert 100 * one.metric("test/accuracy") == pytest.approx(promised, abs=0.4)
    assert solved.metric("test/accuracy") == 1
    assert stuck.metric("train/loss") == pytest.approx(log(2), abs=0.01)
    assert resumed.results[-1]["metrics"] == one.results[-1]["metrics"]
    assert longer.runs == resumed.runs
    assert longer.metric("last_epoch") == 20
    assert numbers(evaluated.out) == pytest.approx(
        {name: longer.metric(name) for name in ("test/loss", "test/accuracy")}, abs=1e-4
    )


@pytest.mark.exhaustive
@pytest.mark.timeout(1800)
def test_two_processes_at_size(copy: Path) -> None:
    """Their sums are rounded differently, which 4,300 steps make larger. Short runs agree to the sixth digit."""
    one, two = (ran(typed, copy) for typed in ("python train.py", "python train.py trainer=ddp trainer.devices=2"))
    assert two.metric("test/accuracy") == pytest.approx(one.metric("test/accuracy"), abs=0.004)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_others_at_size(copy: Path) -> None:
    explained, looked = (ran(typed, copy) for typed in OTHERS)
    assert all(f"\n{group}: " in explained.out for group in ("activation", "init", "optimizer"))
    assert len(looked.out.splitlines()) == 7


@pytest.mark.exhaustive
@pytest.mark.timeout(1800)
def test_the_rates_at_size(copy: Path) -> None:
    """What the comment says of each rate is what the study finds, at full size."""
    rates = ran("python scripts/study.py learning_rate", copy)
    (promised_rates,) = (typed.promise.partition(":")[0] for typed in commands()
                         if typed.command.endswith("study.py learning_rate") and typed.promise)  # fmt: skip
    assert promised_rates in " ".join(rates.out.split())


# In `make test`: the plane and its picture, in tests/studies, and the script's answers to wrong input.
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("typed", [*PICTURES[:2], pytest.param(PICTURES[2], marks=pytest.mark.exhaustive)])
def test_a_picture_on_a_page(copy: Path, typed: str) -> None:
    """It is drawn again as it is in docs/images. Its path is all that is printed, and no other file stays."""
    name = f"phase_diagram_{re.findall('gelu|tanh', typed)[0]}.png"
    folder = copy / ("docs/images" if "--out" in typed else "logs/studies")
    folder.mkdir(parents=True, exist_ok=True)
    before = {path.name for path in folder.iterdir()}
    process = shell(typed, copy)
    assert (*process.communicate(timeout=900), process.returncode) == (f"{(folder / name).relative_to(copy)}\n", "", 0)
    drawn, kept = (image.imread(place / name)[:, :, :3] for place in (folder, PROJECT / "docs/images"))
    assert drawn.shape == kept.shape
    assert np.abs(drawn - kept).mean() < 0.01
    assert {path.name for path in folder.iterdir()} == before | {name}


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("typed", [*BEGUN[:2], *(pytest.param(typed, marks=pytest.mark.exhaustive) for typed in BEGUN[2:])])
def test_begun(copy: Path, typed: str) -> None:
    studies, seen = copy / "logs/studies", copy / "logs/tour.txt"
    seen.unlink(missing_ok=True)
    shutil.rmtree(studies, ignore_errors=True)
    tour = "tour" in typed
    last = stop(shell(typed, copy), lambda: seen.read_text().strip() if tour else any(studies.rglob("made_by")))
    goes_on = "python scripts/tour.py goes on where it was." if tour else "the same command goes on where it was."
    assert last == f"error: stopped; {goes_on}"
