"""Whatever happens to a sweep, to one of its jobs or to the disk: nothing is lost, and nothing is run twice."""

import csv
import json
import os
import random
import re
import subprocess
import threading
from collections import Counter
from pathlib import Path

import pytest
import yaml

from conftest import Command, Start
from killing import killed_and_resumed
from lab import make_lab
from sweeping import ENGINES, KILLS, LAUNCHERS, lasting, results

pytestmark = pytest.mark.forked

MODES = ("exception", "lines", "nan", "memory", "exit", "kill", "crash")
SAID = {
    "exception": "ValueError: the user's own mistake",
    "lines": f"ValueError: two lines: {'a long text ' * 14}",
    "nan": "NaN or Inf first at",
    "memory": "MemoryError: no room for 10 TB",
    "exit": "a user's code called sys.exit(0)",
    "kill": "the process was ended by SIGKILL",
    "crash": "the process was ended by SIGSEGV",
    "leave": "the process exited with code 0 before the job had come to its end",
}


def failing(modes: dict[str, str], place: Path, project: Path) -> tuple[list[str], dict[str, str]]:
    """What is typed, and set in the environment, for the user's activation that fails in the jobs of `modes`."""
    variables = make_lab(place, modes)
    variables["PYTHONPATH"] = os.pathsep.join([str(project / "src"), str(place)])
    return ["--config-dir", str(place / "options")], variables


def check_failures(folder: Path, modes: dict[str, str], jobs: int, code: int, printed: str) -> None:
    found = results(folder)
    for name, how in modes.items():
        status = "diverged" if how == "nan" else "failed"
        assert (found[name]["status"], SAID[how] in found[name]["error"]) == (status, True), found[name]["error"]
        if status == "failed":
            word = "ended from outside" if found[name].get("interrupted") else "failed"
            assert f"{word}: {name}: {found[name]['error']}" in printed
    others = [result["status"] for name, result in found.items() if name not in modes]
    assert others == ["ok"] * (jobs - len(modes))
    assert code == 1


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_job_that_fails_costs_that_job_only(launcher: str, sweep: Command, project: Path, tmp_path: Path) -> None:
    modes = {f"{k}-s{k}": how for k, how in enumerate([*MODES, "leave"], 1)}
    typed, variables = failing(modes, tmp_path, project)
    folder = tmp_path / "sweep"
    # The folder of the last job cannot be made: a file has its name.
    folder.mkdir()
    (folder / "9-s9").write_text("")
    (folder / "sweep.yaml").write_text(yaml.safe_dump({"command": "", "threads": 1, "jobs": []}))
    done = sweep(*typed, "activation=fragile", "seed=range(10)", *ENGINES[launcher], fresh=True, **variables)
    check_failures(folder, modes, 9, done.returncode, done.stdout)
    unwritten = json.loads((folder / "failures/9-s9.json").read_text())
    assert unwritten["status"] == "failed"
    assert f"failed: 9-s9: {unwritten['error']}" in done.stdout
    with (folder / "summary.csv").open() as file:
        assert Counter(row["status"] for row in csv.DictReader(file)) == {
            "ok": 1, "diverged": 1, "failed": 7, "ended from outside": 1,
        }  # fmt: skip
    # What the job printed, and its traceback, stand in its log.
    assert "the user's own mistake" in (folder / "1-s1/job.log").read_text()
    lines = results(folder)["2-s2"]
    assert lines["error"].endswith(" and the last of them")
    for whole in ((folder / "2-s2/job.log").read_text(), lines["traceback"]):
        assert 30 * "a long text " + "\nand the last of them." in whole
    assert "Fatal Python error: Segmentation fault" in (folder / "7-s7/job.log").read_text()


def test_failures_run_again_when_they_are_asked_to(sweep: Command, project: Path, tmp_path: Path) -> None:
    modes = {"0-s0": "exception", "1-s1": "kill"}
    typed, variables = failing(modes, tmp_path, project)
    run = lambda *more: sweep(*typed, "activation=fragile", "seed=range(3)", *more, fresh=True, **variables)  # noqa: E731
    assert run().returncode == 1
    (tmp_path / "mylab/modes.json").write_text("{}")
    # A job that was ended from outside goes on; one that failed by itself does not.
    again = run()
    assert (again.returncode, "1 to run, 2 done before" in again.stdout) == (1, True)
    assert [result["status"] for result in results(tmp_path / "sweep").values()] == ["failed", "ok", "ok"]
    third = run("sweep.retry=failed")
    assert (third.returncode, "1 to run, 2 done before" in third.stdout) == (0, True)
    assert [result["status"] for result in results(tmp_path / "sweep").values()] == ["ok"] * 3


class Reader(threading.Thread):
    """Reads all of a sweep's files again and again, as any program may. Keeps what could not be read as a whole."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.folder, self.halves, self.stopped, self.rounds = folder, [], threading.Event(), 0

    def run(self) -> None:
        readers = {
            "sweep.yaml": yaml.safe_load,
            "result.json": json.loads,
            "summary.csv": whole_table,
            "report.html": whole_page,
        }
        while not self.stopped.wait(0.02):
            self.rounds += 1
            for path in [*self.folder.glob("*.*"), *self.folder.glob("*/result.json")]:
                try:
                    text = path.read_text()
                except OSError:
                    continue
                try:
                    readers.get(path.name, len)(text)
                except Exception as error:
                    self.halves.append((path.name, repr(error)))


def whole_table(text: str) -> None:
    rows = [*csv.reader(text.splitlines())]
    assert {len(row) for row in rows} == {len(rows[0])}
    assert text.endswith("\n")


def whole_page(text: str) -> None:
    assert text.rstrip().endswith("</html>")


@pytest.mark.parametrize("victim", ["sweep", "worker"])
@pytest.mark.parametrize("times", KILLS)
def test_killed_at_random_moments(times: int, victim: str, begin: Start, sweep: Command, tmp_path: Path) -> None:
    typed = [f"seed=range({3 * times})", "trainer.max_epochs=12", "probe=light"]
    folder, whole = tmp_path / "sweep", tmp_path / "whole"
    assert sweep(*typed, folder=whole).returncode == 0
    reader = Reader(folder)
    reader.start()
    assert killed_and_resumed(times, random.Random(times), begin, folder, typed, victim) == times
    last = sweep(*typed, folder=folder)
    reader.stopped.set()
    reader.join()
    assert last.returncode == 0, last.stdout + last.stderr
    assert lasting(folder) == lasting(whole)
    assert reader.halves == []
    assert reader.rounds > 0
    # No job was begun again once it had ended, and no temporary file stays.
    for log in folder.glob("*/job.log"):
        ends = [line for line in log.read_text().splitlines() if line.startswith(("result", "gradpath, seed"))]
        assert ends.count("result") == 1, log
    assert not [path for path in folder.rglob(".*") if path.name not in (".lock", ".claim")]


@pytest.mark.parametrize("full", [True, False], ids=["full", "read-only"])
def test_a_disk_that_takes_no_more(full: bool, sweep: Command, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", str(disk)], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("this user may not mount a tmpfs")
    try:
        folder = disk / "sweep"
        if full:
            (disk / "large").write_bytes(b"1" * 500_000)
        else:
            folder.mkdir()
            subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        done = sweep("seed=range(4)", folder=folder)
        assert done.returncode in (1, 2)
        assert done.stderr.count("\n") == 1, done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        # Neither no file nor a temporary one is named.
        assert not re.search(r"\bNone\b|/\.[a-z]", done.stdout + done.stderr)
        assert ("No space left on device" if full else "Read-only file system") in done.stdout + done.stderr
        subprocess.run(["mount", "-o", "remount,rw,size=20m", str(disk)], check=True)
        (disk / "large").unlink(missing_ok=True)
        again = sweep("seed=range(4)", "sweep.retry=failed", folder=folder)
        assert again.returncode == 0, again.stdout + again.stderr
        assert [result["status"] for result in results(folder).values()] == ["ok"] * 4
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
