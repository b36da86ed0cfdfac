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


def test_a_search_names_what_it_looks_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And the best by it; of several objectives no trial alone is the best."""
    metrics = [{"test/accuracy": 1, "val/loss": 0.5}, {"test/accuracy": 1, "val/loss": 0.3}]
    found = {}
    for goals in ({"metrics.val/loss": "minimize"}, {"metrics.val/loss": "maximize", "metrics.test/accuracy": "maximize"}):
        progress = Progress(tmp_path, 2, {}, 1, goals)
        for number, values in enumerate(metrics):
            progress.ended(Planned(number, f"{number}-job", [], {}, "", ""), Outcome("ok", None, False, {"metrics": values}))
        lines = [str(line) for line in progress._shown().renderables]
        found[len(goals)] = [line for line in lines if line.startswith("best")]
    assert found == {1: ["best so far: val/loss 0.3 of 1-job"], 2: []}
    shown = [line.split("  ")[3].strip() for line in capsys.readouterr().out.splitlines()]
    assert shown == ["val/loss 0.5", "val/loss 0.3", "val/loss 0.5, test/accuracy 1", "val/loss 0.3, test/accuracy 1"]


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        ([("ok", {"test/accuracy": 0.5}), ("ok", {"test/accuracy": 0.7})], ["test/accuracy 0.7 of 1-job"]),
        ([("ok", {"val/loss": 0.5}), ("ok", {"val/loss": 0.7})], ["val/loss 0.5 of 0-job"]),
        ([("diverged", {"val/loss": 0.1}), ("pruned", {"val/loss": 0.2}), ("ok", {"val/loss": 1})], ["val/loss 1 of 2-job"]),
        ([("ok", {"val/loss": "nan"}), ("ok", {"val/loss": 0.7})], ["val/loss 0.7 of 1-job"]),
        ([("ok", {"val/loss": 0.1}), ("ok", {"test/accuracy": 0.7})], ["val/loss 0.1 of 0-job"]),
        ([("ok", {"test/accuracy": 0.7}), ("ok", {"val/loss": 0.9})], ["val/loss 0.9 of 1-job"]),
        ([("diverged", {"val/loss": "inf"}), ("failed", {})], []),
    ],
)  # fmt: skip
def test_the_best_job_has_ended_well(tmp_path: Path, ended: list[tuple[str, dict[str, Any]]], expected: list[str]) -> None:
    assert best(tmp_path, *ended) == expected
