"""The code that trains is changed while a sweep runs: no job is trained by other code than the plan says."""

import os
from pathlib import Path

import pytest
import yaml

from board import wait_until
from conftest import Command, Start
from lab import make_lab
from sweeping import ENGINES, LAUNCHERS, counted, results

pytestmark = pytest.mark.forked


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_users_package_changes(launcher: str, begin: Start, sweep: Command, project: Path, tmp_path: Path) -> None:
    variables = make_lab(tmp_path, {})
    variables["PYTHONPATH"] = os.pathsep.join([str(project / "src"), str(tmp_path)])
    one = {"local": ["hydra.launcher.jobs=1"], "slurm": ["hydra.launcher.jobs=1"], "ray": ["hydra.launcher.jobs=1"]}[
        launcher
    ]
    typed = ["--config-dir", str(tmp_path / "options"), "activation=fragile", "seed=range(4)", *ENGINES[launcher], *one]
    process = begin(*typed, "trainer.max_epochs=30", fresh=True, **variables)
    folder = tmp_path / "sweep"
    wait_until(lambda: [*folder.glob("*/checkpoints/last.ckpt")])
    code = tmp_path / "mylab/fragile.py"
    code.write_text(code.read_text().replace("return torch.tanh(inputs)", "return torch.relu(inputs)"))
    out, err = process.communicate()
    assert process.returncode == 1, out
    # The job that had begun was trained by the code that it had imported; no other has begun.
    assert [*results(folder)] == ["0-s0"]
    assert counted(out).endswith(": 1 ok, 3 missing")
    # Ray says a line of its own before.
    assert err.endswith(
        "error: the code that trains has changed since the sweep was begun; "
        "the same command runs all jobs with the new code, and with sweep.retry=failed only those not done. "
        "3 of 4 jobs are missing\n"
    )
    again = sweep(*typed, "trainer.max_epochs=30", fresh=True, **variables)
    assert (again.returncode, "4 jobs, 4 to run" in again.stdout) == (0, True), again.stdout
    assert "kept beside, as the code or an option's file has changed: 0-s0" in again.stdout
    plan = yaml.safe_load((folder / "sweep.yaml").read_text())
    assert [job["name"] for job in plan["jobs"]] == ["4-s0", "5-s1", "6-s2", "7-s3"]
    # A comment is no change.
    code.write_text(code.read_text() + "# A comment.\n")
    assert "4 jobs, 0 to run" in sweep(*typed, "trainer.max_epochs=30", fresh=True, **variables).stdout


def test_only_what_failed_runs_again_with_the_mended_code(sweep: Command, project: Path, tmp_path: Path) -> None:
    variables = make_lab(tmp_path, {"1-s1": "exception"})
    variables["PYTHONPATH"] = os.pathsep.join([str(project / "src"), str(tmp_path)])
    typed = ("--config-dir", str(tmp_path / "options"), "activation=fragile", "seed=range(3)")
    folder = tmp_path / "sweep"
    first = sweep(*typed, fresh=True, **variables)
    assert first.stderr.endswith(
        "1 of 3 jobs failed; sweep.retry=failed runs them again, and only them, even if the code has changed\n"
    )
    before = {name: (folder / name / "result.json").stat() for name in ("0-s0", "2-s2")}
    code = tmp_path / "mylab/fragile.py"
    code.write_text(code.read_text().replace('raise ValueError("the user\'s own mistake")', "return"))
    listed = sweep(*typed, "sweep.retry=failed", "sweep.dry_run=true", fresh=True, **variables).stdout.splitlines()
    assert [line.split("  ")[:2] for line in listed[:3]] == [
        ["0-s0", "done, ok"],
        ["2-s2", "done, ok"],
        ["3-s1", "to run, changed"],
    ]
    again = sweep(*typed, "sweep.retry=failed", fresh=True, **variables)
    assert again.returncode == 0, again.stderr
    assert "3 jobs, 1 to run, 2 done before" in again.stdout
    assert "kept beside, as the code or an option's file has changed: 1-s1" in again.stdout
    assert "2 of all 3 jobs were made by other code" in again.stdout
    assert {name: (folder / name / "result.json").stat() for name in before} == before
    assert counted(again.stdout).endswith(": 3 ok")
    assert "made by 2 versions of the code" in (folder / "summary.md").read_text()
    # Nothing is left to run, and without the word all that older code has made is.
    assert "3 jobs, 0 to run" in sweep(*typed, "sweep.retry=failed", fresh=True, **variables).stdout
    assert (
        "3 jobs: 1 done, 2 to run, 2 of them changed" in sweep(*typed, "sweep.dry_run=true", fresh=True, **variables).stdout
    )
