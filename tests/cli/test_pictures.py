"""Runs `scripts/phase_diagram.py` and `scripts/trainability.py` as a user does, and kills the second one."""

import csv
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib import image

from commands import PATIENCE, Forked
from conftest import finished, tree

MAP = "scripts/trainability.py"
CELLS = 9


@pytest.mark.forked
@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (("scripts/phase_diagram.py", "tnah"), "Did you mean tanh? There are elu, "),
        (("scripts/phase_diagram.py", "tanh", "relu"), "relu: not understood. Allowed: "),
        (("scripts/phase_diagram.py", "--out"), "--out: expected one argument"),
        (("scripts/phase_diagram.py", "--out", "logs/plane.jpg"), "must end in .png, .pdf, .svg"),
        (("scripts/phase_diagram.py", "--out", "nowhere/plane.png"), "there is no folder nowhere"),
        ((MAP, "--qick"), "--qick: not understood. Did you mean --quick?"),
        ((MAP, "--out", "logs"), "--out logs: must end in"),
    ],
    ids=lambda value: " ".join(value[1:]) if isinstance(value, tuple) else "",
)
def test_wrong_input(command, project: Path, typed: tuple[str, ...], words: str) -> None:
    before = tree(project)
    done = command(*typed)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert done.stderr.startswith("error: ")
    assert words in done.stderr
    assert tree(project) == before


@pytest.mark.parametrize("script", ["scripts/phase_diagram.py", MAP])
def test_help_loads_nothing_heavy(before_torch, script: str) -> None:
    """The stand-ins for torch and lightning cannot be imported."""
    done = before_torch(script, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "--out FILE" in done.stdout


def test_a_stopped_map(start, project: Path) -> None:
    """Ctrl-C, as a terminal sends it: one line, and no process is left."""
    shutil.rmtree(project / "logs/studies/trainability", ignore_errors=True)
    stopped = start(MAP, "--quick")
    # Itself, its tracker of resources, and the process from which others will be forked: before there is any.
    wait_for(lambda: bool(alive(stopped.pid)[2:]), stopped)
    # As a terminal does: to the script and its processes.
    os.killpg(stopped.pid, signal.SIGINT)
    _, err = stopped.communicate(timeout=PATIENCE)
    assert stopped.returncode == 130
    assert err.splitlines()[-1] == "error: stopped; the same command goes on where it was."
    assert err.count("\n") == 1
    wait_for(lambda: not alive(stopped.pid))


@pytest.mark.slow
def test_an_ended_map_goes_on(command, start, project: Path) -> None:
    """SIGKILL of the script alone: nothing that was trained is trained again, no process is left."""
    shutil.rmtree(project / "logs/studies/trainability", ignore_errors=True)
    killed = start(MAP, "--quick")
    wait_for(lambda: len(cells(project)) >= 2, killed)
    # Its child processes are not killed; they notice by themselves that it is gone.
    killed.kill()
    killed.communicate()
    wait_for(lambda: not alive(killed.pid))
    first = cells(project)
    assert 2 <= len(first) < CELLS

    done = command(MAP, "--quick", "--out", "logs/map.png")
    assert done.returncode == 0, done.stderr
    assert first.items() <= cells(project).items()
    assert len(cells(project)) == CELLS
    assert_drawn(project / "logs/map.png")
    with (project / "logs/map.csv").open() as file:
        accuracy = {(row["sigma_w2"], row["depth"]): float(row["test_accuracy"]) for row in csv.DictReader(file)}
    assert len(accuracy) == CELLS
    # Near the edge of chaos, accuracy is above twice chance at any depth. It is below that where theory predicts chance.
    assert min(accuracy["1.75", "5"], accuracy["1.75", "40"]) > 0.2 > accuracy["1", "40"]


def cells(project: Path) -> dict[str, int]:
    return finished(project / "logs/studies/trainability")


def wait_for(happened: Callable[[], bool], process: "Forked | subprocess.Popen[str] | None" = None) -> None:
    """Raises AssertionError when it takes too long, or `process` ends before."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert process is None or process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


def alive(session: int) -> list[int]:
    """The processes of a session that are still running."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, its_session = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(its_session) == session and state != "Z":
            found.append(int(stat.parent.name))
    return found


def assert_drawn(place: Path) -> None:
    """The file is a picture with many colours and smaller than 200 KB."""
    pixels = image.imread(place)
    assert pixels.shape[0] > 500 < pixels.shape[1]
    assert len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) > 100
    assert place.stat().st_size < 200_000
