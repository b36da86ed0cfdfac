"""What is said of a sweep while it goes on."""

from pathlib import Path
from typing import Any

import pytest

from gradpath.sweep.outcome import Outcome
from gradpath.sweep.plan import Planned
from gradpath.sweep.progress import Progress


def best(folder: Path, *ended: tuple[str, dict[str, Any]]) -> list[str]:
    """What is said to be the best of jobs that ended so."""
    progress = Progress(folder, len(ended), {}, 1)
    for number, (status, metrics) in enumerate(ended):
        job = Planned(number, f"{number}-job", [], {}, "", "")
        progress.ended(job, Outcome(status, None, False, {"metrics": metrics}))
    lines = [str(line) for line in progress._shown().renderables]
    return [line.removeprefix("best so far: ") for line in lines if line.startswith("best")]


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        ([("ok", {"test/accuracy": 0.5}), ("ok", {"test/accuracy": 0.7})], ["test/accuracy 0.7 of 1-job"]),
        ([("ok", {"val/loss": 0.5}), ("ok", {"val/loss": 0.7})], ["val/loss 0.5 of 0-job"]),
        ([("diverged", {"val/loss": 0.1}), ("pruned", {"val/loss": 0.2}), ("ok", {"val/loss": 1})], ["val/loss 1 of 2-job"]),
        ([("ok", {"val/loss": "nan"}), ("ok", {"val/loss": 0.7})], ["val/loss 0.7 of 1-job"]),
        ([("ok", {"val/loss": 0.1}), ("ok", {"test/accuracy": 0.7})], ["test/accuracy 0.7 of 1-job"]),
        ([("ok", {"test/accuracy": 0.7}), ("ok", {"val/loss": 0.9})], ["test/accuracy 0.7 of 0-job"]),
        ([("diverged", {"val/loss": "inf"}), ("failed", {})], []),
    ],
)  # fmt: skip
def test_the_best_job_has_ended_well(tmp_path: Path, ended: list[tuple[str, dict[str, Any]]], expected: list[str]) -> None:
    assert best(tmp_path, *ended) == expected
