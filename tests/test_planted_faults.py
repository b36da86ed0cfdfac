"""Plants faults in a copy of the project. The tests that are named beside each fault must notice it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from faults import FAULTS
from gradpath.config.checks import PROJECT
from planting import Fault, place

COPIED = ("conf", "docs", "scripts", "src", "tests", "train.py", "README.md", "Makefile", "pyproject.toml")
ROOMS = {path.parent.name for path in (PROJECT / "src/gradpath").glob("*/__init__.py")}


def test_each_fault_can_be_planted() -> None:
    """The text that a fault replaces stands in its file exactly once, and every room has a fault."""
    for fault in FAULTS:
        assert place(fault, PROJECT).read_text().count(fault.old) == 1, fault.breaks
        assert all((PROJECT / "tests" / name).exists() for name in fault.caught_by.partition(" -k ")[0].split()), (
            fault.breaks
        )
    assert {fault.file.split("/")[0] for fault in FAULTS} == ROOMS | {"scripts"}
    assert len(FAULTS) >= 30


@pytest.mark.planted
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.breaks)
def test_a_planted_fault_is_caught(fault: Fault, tmp_path: Path) -> None:
    # A link is enough, because the data are only read.
    (tmp_path / "data").symlink_to(PROJECT / "data")
    for name in COPIED:
        if (PROJECT / name).is_dir():
            shutil.copytree(PROJECT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(PROJECT / name, tmp_path / name)
    broken = place(fault, tmp_path)
    broken.write_text(broken.read_text().replace(fault.old, fault.new))
    names, _, some = fault.caught_by.partition(" -k ")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", *(f"tests/{name}" for name in names.split()), "-k", some],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(tmp_path / "src")}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    # Code 1 means that a test failed. Other codes mean that tests were not found or could not be started.
    assert done.returncode == 1, done.stdout[-2000:]
    assert " failed" in done.stdout.splitlines()[-1]
