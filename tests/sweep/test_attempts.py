"""A job that is run again: how its last attempt ended is what counts, and nothing that has ended well is lost."""

import json
import os
import time
from pathlib import Path

import pytest

from conftest import Command
from finished_sweeps import result, write_run
from gradpath.locks import CLAIM, hold
from gradpath.sweep.outcome import forget_failure, read_outcome, record_outcome, stamp
from lab import make_lab
from sweeping import results

FAILED = {"status": "failed", "error": "ValueError: of the first attempt"}
CRASHED = {"status": "failed", "error": "the process was ended by SIGSEGV"}


@pytest.mark.forked
def test_the_last_attempt_is_told(sweep: Command, project: Path, tmp_path: Path) -> None:
    variables = make_lab(tmp_path, {"0-s0": "kill"})
    variables["PYTHONPATH"] = os.pathsep.join([str(project / "src"), str(tmp_path)])
    folder = tmp_path / "sweep"

    def attempt(how: str | None, *more: str) -> tuple[str, str]:
        (tmp_path / "mylab/modes.json").write_text(json.dumps({"0-s0": how} if how else {}))
        typed = ("--config-dir", str(tmp_path / "options"), "activation=fragile", "seed=0,1", *more)
        return sweep(*typed, fresh=True, **variables).stdout, results(folder)["0-s0"]["error"]

    said, error = attempt("kill")
    assert error == "the process was ended by SIGKILL"
    # It trains nothing before it fails, so that a run would be left as it was.
    said, error = attempt("exception")
    assert error == "ValueError: the user's own mistake"
    assert f"failed: 0-s0: {error}" in said
    # A time when the disk was full.
    (folder / "failures").mkdir()
    (folder / "failures/0-s0.json").write_text(json.dumps(FAILED))
    said, error = attempt(None, "sweep.retry=failed")
    assert error is None
    assert not [*folder.glob("failures/*")]


def test_an_attempt_that_could_not_begin_is_told(tmp_path: Path) -> None:
    """Its process has ended before it could remove what the one before it had left."""
    write_run(tmp_path / "0-job", FAILED)
    before = stamp(tmp_path, "0-job")
    assert record_outcome(tmp_path, "0-job", CRASHED, before)
    assert json.loads((tmp_path / "0-job/result.json").read_text()) == CRASHED
    # What the attempt itself has written stays.
    assert record_outcome(tmp_path, "0-job", FAILED, before)
    assert json.loads((tmp_path / "0-job/result.json").read_text()) == CRASHED


def test_what_ended_well_is_never_replaced(tmp_path: Path) -> None:
    write_run(tmp_path / "0-job", result(1.0))
    assert record_outcome(tmp_path, "0-job", CRASHED)
    forget_failure(tmp_path, "0-job")
    (tmp_path / "failures").mkdir()
    (tmp_path / "failures/0-job.json").write_text(json.dumps(CRASHED))
    known = read_outcome(tmp_path, "0-job")
    assert known
    assert known.status == "ok"


def test_the_newer_failure_counts(tmp_path: Path) -> None:
    write_run(tmp_path / "0-job", FAILED)
    (tmp_path / "failures").mkdir()
    beside = tmp_path / "failures/0-job.json"
    beside.write_text(json.dumps(CRASHED))
    for seconds, expected in ((60, CRASHED), (-60, FAILED)):
        os.utime(beside, (time.time() + seconds,) * 2)
        known = read_outcome(tmp_path, "0-job")
        assert known
        assert known.error == expected["error"]


def test_a_job_that_another_process_runs_has_not_ended(tmp_path: Path) -> None:
    with hold(tmp_path / "0-job", name=CLAIM):
        assert not record_outcome(tmp_path, "0-job", CRASHED)
    assert read_outcome(tmp_path, "0-job") is None
    assert record_outcome(tmp_path, "0-job", CRASHED)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "0-job").write_text("")
    for content in (FAILED, CRASHED):
        assert record_outcome(tmp_path, "0-job", content, stamp(tmp_path, "0-job"))
        assert json.loads((tmp_path / "failures/0-job.json").read_text()) == content
