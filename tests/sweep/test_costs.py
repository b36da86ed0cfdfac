"""The table of what sweeps cost."""

import json
import os
from pathlib import Path

import pytest
import yaml

from conftest import Command, Start
from synthetic_sweep import make_result


@pytest.mark.slow
def test_the_table(command: Command) -> None:
    """A row for each number of jobs, with a number in each cell. A sweep takes no less than its runs."""
    done = command("scripts/benchmark_sweeps.py", "largest=10", fresh=True)
    assert done.returncode == 0, done.stderr
    heading, _, row = [line.strip("| ").split(" | ") for line in done.stdout.splitlines()]
    assert len(row) == len(heading)
    assert row[0] == "10"
    assert all(float(cell) > 0 for cell in row)
    assert float(row[2]) > 0.9


@pytest.mark.slow
@pytest.mark.forked
def test_the_conductor_holds_one_result_at_a_time(begin: Start, sweep: Command, tmp_path: Path) -> None:
    """Ten times as many jobs, of 120 kilobytes each, take no more than what the report says of them."""
    used = []
    for jobs in (50, 500):
        folder = tmp_path / str(jobs)
        typed = ("model.hidden=[100000,1000000000]", f"seed=range({jobs})")
        sweep(*typed, "sweep.fail_fast=true", folder=folder)
        for job in yaml.safe_load((folder / "sweep.yaml").read_text())["jobs"]:
            (folder / job["name"]).mkdir(exist_ok=True)
            made = make_result(job["number"], {"activation": "tanh"}, 100)
            (folder / job["name"] / "result.json").write_text(json.dumps(made, indent=2))
        process = begin(*typed, folder=folder, fresh=True)
        _, process.returncode, taken = os.wait4(process.pid, 0)
        out, err = process.communicate()
        assert (out.startswith(f"{folder}: {jobs} jobs, 0 to run, {jobs} done before\n{folder}: {jobs} ok\n"), err) == (
            True,
            "",
        )
        used.append(taken.ru_maxrss / 1024)
    assert used[1] - used[0] < 30
