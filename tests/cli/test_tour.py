"""Runs the tour in a real process: what it prints, how it stops, and where it goes on."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from commands import PATIENCE, environment, fresh_process
from conftest import finished
from gradpath.config.checks import PROJECT
from gradpath.errors import RunFailed
from gradpath.studies.chapter import tour
from gradpath.studies.chapter.entries import CHAPTER


def test_stopped_and_gone_on_with(command, project: Path) -> None:
    """From the third station: Ctrl-C while one runs, as a terminal sends it, to the tour and to its command alike."""
    process = fresh_process("scripts/tour.py", "3", folder=project, environment=environment(project))
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line.rstrip("\n"))
        if line.startswith("-- 4 of"):
            break
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "error: stopped; python scripts/tour.py goes on where it was."
    assert seen[0] == "-- 3 of 18: What is a gradient made of? (C4) ".ljust(80, "-")
    assert "$ python scripts/by_hand.py chain activation=tanh x=2 y=1" in seen
    assert any(line.split()[:1] == ["dL/dw1"] for line in seen)
    assert any(
        line.startswith("This station took ") and line.endswith(" s. Next: Which factors reach w11? (C5)") for line in seen
    )
    listed = command("scripts/tour.py", "--list").stdout.splitlines()
    assert len(listed) == len(CHAPTER)
    assert [line[:4] for line in listed if line.startswith(">")] == [">  4"]


@pytest.mark.forked
def test_wrong_input_and_the_end(command, project: Path) -> None:
    for typed, message in (
        ("0", "0: must be a whole number from 1 to 18."),
        ("xor", "xor: must be a whole number from 1 to 18."),
        ("--lst", "--lst: not understood. Did you mean --list? Allowed: [-h] [STATION] [--list]."),
    ):
        wrong = command("scripts/tour.py", typed)
        assert (wrong.returncode, wrong.stdout, wrong.stderr) == (2, "", f"error: {message}\n")
    (project / "logs/tour.txt").write_text(f"{list(CHAPTER)[-1]}\n")
    assert command("scripts/tour.py").stdout == "The tour has come to its end; python scripts/tour.py 1 begins again.\n"
    (project / "logs/tour.txt").unlink()


@pytest.mark.parametrize(
    ("typed", "code"),
    [("python -m no_such_module", 1), ("python -c __import__('os').kill(__import__('os').getpid(),9)", -9)],
)
def test_a_station_that_fails_was_not_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str, code: int) -> None:
    monkeypatch.setattr(tour, "LAST", tmp_path / "tour.txt")
    monkeypatch.setattr(tour, "commands", lambda: dict.fromkeys(CHAPTER, typed))
    with pytest.raises(RunFailed, match=f"station 5 ended with exit code {code}: "):
        tour.station(5)
    assert tour.following() == 5


@pytest.mark.forked
@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("parameters", ["101,770"]),
        ("by_hand_chain", ["12 lines"]),
        ("by_hand_two_layer", ["(z - y)*v1*da1/dz1*x1"]),
        ("by_hand_mlp", ["192 numbers", "20,216 paths"]),
    ],
)
def test_a_station_shows_what_the_contents_say(command, name: str, numbers: list[str]) -> None:
    """The stations without a study; those with one are compared with their pages in tests/studies/test_chapter.py."""
    (row,) = [line for line in (PROJECT / "docs/studies/README.md").read_text().splitlines() if CHAPTER[name].title in line]
    shown = command(*CHAPTER[name].typed.split()[1:]).stdout
    for number in numbers:
        assert number in row
        assert number in shown


@pytest.mark.slow
def test_a_killed_study_goes_on(command, start, project: Path) -> None:
    """SIGKILL after two of its four runs: these are not made again, and the page is that of a study never killed."""
    cells = project / "logs/studies/learning_rate_quick/default"
    killed = start("scripts/study.py", "learning_rate", "--quick")
    while len(made := finished(cells)) < 2:
        assert killed.poll() is None
        time.sleep(0.05)
    killed.kill()
    killed.communicate()

    def page() -> str:
        done = command("scripts/study.py", "learning_rate", "--quick", "--pages", str(project / "logs/pages"))
        assert done.returncode == 0, done.stderr
        return (project / "logs/pages/learning_rate.md").read_text()

    gone_on = page()
    after = finished(cells)
    assert made.items() <= after.items()
    assert len(after) == 4
    shutil.rmtree(cells)
    assert page() == gone_on
