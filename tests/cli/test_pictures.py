"""Runs `scripts/phase_diagram.py` and `scripts/trainability.py` as a user does, and kills the second one."""

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib import image

from conftest import environment, finished, tree

MAP = "scripts/trainability.py"
CELLS = 9


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
def test_help_loads_nothing_heavy(project: Path, script: str) -> None:
    """On this path, importing torch or lightning raises an error."""
    path = f"{project / 'src'}{os.pathsep}{Path(__file__).parent / 'without_torch'}"
    done = subprocess.run(
        [sys.executable, script, "--help"], cwd=project, env=os.environ | {"PYTHONPATH": path},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "--out FILE" in done.stdout


def test_phase_diagram(command, project: Path) -> None:
    done = command("scripts/phase_diagram.py", "relu")
    assert done.returncode == 0, done.stderr
    place = project / "logs/studies/phase_diagram_relu.png"
    assert done.stdout == f"{place.relative_to(project)}\n"
    assert_drawn(place)
    assert {path.name for path in place.parent.glob("*phase*")} == {place.name}


def test_an_ended_map_goes_on(command, project: Path) -> None:
    """SIGKILL of the script alone leaves no process, and nothing that was trained is trained again.

    Ctrl-C prints one line.
    """
    killed = start(project)
    wait_for(lambda: len(cells(project)) >= 2, killed)
    # Its child processes are not killed; they notice by themselves that it is gone.
    killed.kill()
    killed.communicate()
    wait_for(lambda: not alive(killed.pid))
    first = cells(project)
    assert 2 <= len(first) < CELLS

    stopped = start(project)
    # Three processes exist: the script, its resource tracker, and the one that will fork the workers. No worker exists yet.
    wait_for(lambda: bool(alive(stopped.pid)[2:]), stopped)
    # A terminal sends Ctrl-C to the script and to its child processes.
    os.killpg(stopped.pid, signal.SIGINT)
    _, err = stopped.communicate(timeout=20)
    assert stopped.returncode == 130
    assert err.splitlines()[-1] == "error: stopped; the same command goes on where it was."
    # Before that line, only the count of finished cells may be printed.
    assert all(" of 9" in line for line in err.splitlines()[:-1] if line), err
    wait_for(lambda: not alive(stopped.pid))
    assert first.items() <= cells(project).items()

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


def start(project: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, MAP, "--quick"], cwd=project, env=environment(project), start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # If a shell starts the tests in the background, they and their children ignore SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def cells(project: Path) -> dict[str, int]:
    return finished(project / "logs/studies/trainability")


def wait_for(happened: Callable[[], bool], process: "subprocess.Popen[str] | None" = None) -> None:
    """Raises AssertionError if it takes too long or if `process` ends first."""
    deadline = time.monotonic() + (120 if process else 15)
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
