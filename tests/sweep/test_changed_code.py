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
        "error: the code that trains has changed since the sweep was begun. "
        "3 of 4 jobs are missing; the same command runs them\n"
    )
    again = sweep(*typed, "trainer.max_epochs=30", fresh=True, **variables)
    assert (again.returncode, "4 jobs, 4 to run" in again.stdout) == (0, True), again.stdout
    assert "kept beside, as the code or an option's file has changed: 0-s0" in again.stdout
    plan = yaml.safe_load((folder / "sweep.yaml").read_text())
    assert [job["name"] for job in plan["jobs"]] == ["4-s0", "5-s1", "6-s2", "7-s3"]
    # A comment is no change.
    code.write_text(code.read_text() + "# A comment.\n")
    assert "4 jobs, 0 to run" in sweep(*typed, "trainer.max_epochs=30", fresh=True, **variables).stdout
