"""The table of what sweeps cost."""

import pytest

from conftest import Command


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
