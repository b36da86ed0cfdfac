"""How a sweep's process waits, stops and ends."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from board import wait_until
from conftest import Command, Start
from finished_sweeps import result, write_sweep
from gradpath.locks import CLAIM, hold
from gradpath.sweep.apart import ask_to_stop, forget_stop, new_stop
from gradpath.sweep.code import made_by
from gradpath.sweep.conduct import state_of
from gradpath.sweep.course import Course
from gradpath.sweep.engine import DONE, Call
from gradpath.sweep.in_process import InProcess
from gradpath.sweep.outcome import read_outcome
from gradpath.sweep.plan import Planned, read_plan
from gradpath.sweep.progress import Progress
from gradpath.sweep.source import Listed
from gradpath.sweep.summary import Summary
from lab import make_lab
from sweeping import ENGINES, results


def call_of(folder: Path, name: str, threads: int = 1, **variables: str) -> Call:
    return Call(folder, name, {}, {"data": "xor"}, [], {}, "python train.py -m", made_by(), [], threads, variables)


def test_a_job_that_has_ended_is_composed_once(tmp_path: Path) -> None:
    """Another process has run all of them since they were listed."""
    write_sweep(tmp_path, {"seed": ["0", "1", "2"]}, lambda given: result(1.0))
    plan = read_plan(tmp_path)
    assert plan
    called: list[str] = []

    def call(job: Planned) -> Call:
        called.append(job.name)
        return call_of(tmp_path, job.name)

    engine = InProcess()
    with closing(Progress(tmp_path, 3, {}, 1)) as progress:
        Course(tmp_path, engine, call, progress, Summary(tmp_path, plan), joins=False).run(Listed(plan.jobs), False)
    assert called == [job.name for job in plan.jobs]
    assert progress.counts == {"ok": 3}


def test_an_engine_that_runs_nothing_waits() -> None:
    begun = time.monotonic()
    assert InProcess().ended(0.2) == []
    assert time.monotonic() - begun >= 0.2


@pytest.mark.parametrize(
    ("call", "said"), [({"threads": 0}, "RuntimeError: set_num_threads expects"), ({"A=": "1"}, "ValueError: illegal")]
)
def test_what_fails_beside_the_run_is_told_as_it_is(tmp_path: Path, call: dict[str, Any], said: str) -> None:
    from gradpath.sweep.worker import claimed

    assert claimed(call_of(tmp_path, "0-job", **call)) == DONE
    outcome = read_outcome(tmp_path, "0-job")
    assert outcome
    assert outcome.status == "failed"
    assert (outcome.error or "").startswith(said)
    assert "Traceback" in outcome.result["traceback"]


def test_a_job_whose_folder_cannot_be_made_fails_fast(sweep: Command, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    folder.mkdir()
    (folder / "0-s0").write_text("")
    (folder / "sweep.yaml").write_text(yaml.safe_dump({"command": "", "threads": 1, "jobs": []}))
    done = sweep("seed=range(3)", "sweep.fail_fast=true", "hydra.launcher.jobs=1")
    assert results(folder) == {}
    assert done.returncode == 1
    assert done.stderr.endswith(
        "1 of 3 jobs failed; sweep.retry=failed runs them again, and only them, even if the code has changed. "
        "2 of 3 jobs are missing; the same command runs them\n"
    )


def test_a_summary_that_can_be_written_in_the_end(begin: Start, sweep: Command, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    (folder / "summary.md").mkdir(parents=True)
    (folder / "sweep.yaml").write_text(yaml.safe_dump({"command": "", "threads": 1, "jobs": []}))
    typed = ("seed=range(3)", "trainer.max_epochs=40", "hydra.launcher.jobs=1")
    process = begin(*typed)
    wait_until(lambda: (folder / "summary.csv").exists())
    (folder / "summary.md").rmdir()
    out, err = process.communicate()
    assert (process.returncode, err) == (0, ""), out
    # And one that cannot.
    (folder / "summary.md").unlink()
    (folder / "summary.md").mkdir()
    done = sweep(*typed)
    assert done.returncode == 1
    assert f"not written: the summary: {folder / 'summary.md'}: Is a directory" in done.stdout
    assert done.stdout.endswith(": 3 ok\n")
    assert done.stderr.endswith("error: the summary could not be written; the same command writes it\n")


def test_a_job_that_is_killed_goes_on_with_the_same_command(begin: Start, tmp_path: Path) -> None:
    process = begin("seed=range(2)", "trainer.max_epochs=80", "hydra.launcher.jobs=1")
    folder = tmp_path / "sweep"
    wait_until(lambda: [*folder.glob("0-*/checkpoints/last.ckpt")])
    os.kill(int((folder / "0-s0" / CLAIM).read_text().split()[1]), signal.SIGKILL)
    out, err = process.communicate()
    assert err.endswith("1 of 2 jobs were ended from outside; the same command goes on with them\n")
    # One word for it, while the sweep runs and at its end.
    assert "1/2  0-s0  ended from outside  the process was ended by SIGKILL" in out
    assert "sweep: 1 ok, 1 ended from outside\n" in out
    assert "failed" not in out


def test_who_is_at_work_is_said(begin: Start, sweep: Command, project: Path, tmp_path: Path) -> None:
    """By a dry run, and by whoever stops while another process goes on."""
    folder = tmp_path / "sweep"
    typed = ("seed=range(4)", "trainer.max_epochs=400", "hydra.launcher.jobs=1")
    first = begin(*typed)
    wait_until(lambda: [*folder.glob(f"*/{CLAIM}")])
    helper = begin(*typed, "sweep.join=true")
    wait_until(lambda: len([*folder.glob(f"*/{CLAIM}")]) == 2, 30)
    dry = sweep(*typed, "sweep.dry_run=true")
    assert [line.split("  ")[1] for line in dry.stdout.splitlines()[:-1]] == ["at work", "at work", "to run", "to run"]
    said = rf"4 jobs: 2 at work, 2 to run; process {first.pid} on \S+ is at work in it\n"
    assert re.fullmatch(said, dry.stdout.splitlines(keepends=True)[-1])
    first.send_signal(signal.SIGINT)
    out, err = first.communicate()
    assert "sweep: 1 at work, 3 missing\n" in out
    assert "1 job at work in another process, which goes on with the others\n" in out
    line = err.strip().splitlines()[-1].removeprefix("stopped; to continue: ")
    places = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(project / "src")}
    again = subprocess.run(
        ["sh", "-c", f"{line} sweep.dry_run=true"], cwd=project, env=os.environ | places, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (again.returncode, "4 jobs: 1 at work, 3 to run" in again.stdout) == (0, True), again.stderr
    # The helper, now alone, counts its own open job as nobody's.
    helper.send_signal(signal.SIGTERM)
    out = helper.communicate()[0]
    assert helper.returncode == 143
    assert "ran no job here; of all 4 jobs 4 missing\n" in out


def test_a_job_that_was_given_back_is_nobodys(tmp_path: Path) -> None:
    """Its process may still be about to end, and hold it."""
    write_sweep(tmp_path, {"seed": ["0", "1"]}, lambda given: None)
    plan = read_plan(tmp_path)
    assert plan
    with closing(Progress(tmp_path, 2, {}, 1)) as progress:
        course = Course(
            tmp_path, InProcess(), lambda job: call_of(tmp_path, job.name), progress, Summary(tmp_path, plan), True
        )
    course.stopped = {"0-job"}
    with hold(tmp_path / "0-job", name=CLAIM), hold(tmp_path / "1-job", name=CLAIM):
        assert [state_of(tmp_path, job, course) for job in plan.jobs] == ["missing", "at work"]
        with hold(tmp_path):
            assert [state_of(tmp_path, job, course) for job in plan.jobs] == ["at work", "at work"]
    assert [state_of(tmp_path, job, course) for job in plan.jobs] == ["missing", "missing"]


@pytest.mark.slow
def test_a_helper_that_is_stopped_stops_its_own_jobs(begin: Start, tmp_path: Path) -> None:
    """Both have submitted the only job; the helper's own process for it has not begun when it is told to stop."""
    folder = tmp_path / "sweep"
    typed = ("seed=0,1", "trainer.max_epochs=300", *ENGINES["slurm"], "hydra.launcher.jobs=2")
    first = begin(*typed)
    wait_until(lambda: len([*folder.glob(f"*/{CLAIM}")]) == 2, 60)
    submitted = len([*folder.glob(".submitit/*_submitted.pkl")])
    helper = begin(*typed, "sweep.join=true")
    wait_until(lambda: len([*folder.glob(".submitit/*_submitted.pkl")]) > submitted, 60)
    helper.send_signal(signal.SIGINT)
    said = helper.communicate()[0]
    out, err = first.communicate()
    assert (helper.returncode, first.returncode) == (130, 0), out + err
    assert said.endswith("sweep: ran no job here; of all 2 jobs 2 at work\n")
    assert {found["status"] for found in results(folder).values()} == {"ok"}
    assert not [*folder.glob("*/.stop*")]


def test_who_asks_a_job_to_stop_is_told_apart(tmp_path: Path) -> None:
    """What a process leaves that was killed goes with the end of the job."""
    from gradpath.sweep.worker import claimed

    write_sweep(tmp_path, {"seed": ["0"]}, lambda given: result(1.0))
    folder, own, other = tmp_path / "0-job", new_stop(), new_stop()
    for name in (own, other):
        ask_to_stop(folder, name)
    forget_stop(folder, own)
    assert [path.name for path in folder.glob(".stop*")] == [other]
    assert claimed(call_of(tmp_path, "0-job")) == DONE
    assert not [*folder.glob(".stop*")]


def test_a_users_exit_codes_are_none_of_ours(sweep: Command, project: Path, tmp_path: Path) -> None:
    """Another process has the job, the code has changed, it was stopped, its folder is read-only, its server is gone."""
    codes = ["75", "76", "130", "143", "222", "255"]
    modes = {f"{k}-s{k}": code for k, code in enumerate(codes, 1)}
    variables = make_lab(tmp_path, modes)
    variables["PYTHONPATH"] = os.pathsep.join([str(project / "src"), str(tmp_path)])
    typed = ("--config-dir", str(tmp_path / "options"), "activation=fragile", "seed=range(7)")
    done = sweep(*typed, fresh=True, **variables)
    said = [f"the process exited with code {code} before the job had come to its end" for code in codes]
    found = results(tmp_path / "sweep")
    assert [found.pop("0-s0")["status"], *(result["error"] for result in found.values())] == ["ok", *said]
    assert (done.returncode, "6 of 7 jobs failed; sweep.retry=failed" in done.stderr) == (1, True)
    # None of them counts as ended from outside.
    assert "7 jobs, 0 to run" in sweep(*typed, fresh=True, **variables).stdout
