"""`load_sweep`: a sweep as a table, with pandas and without, and what is no sweep."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest

from finished_sweeps import result, write_sweep
from gradpath import load_sweep

AXES = {"activation": ["relu", "tanh"], "optimizer.lr": ["0.1", "1e-2"], "seed": ["0", "1", "10"]}
# No module of these may be needed.
BLOCKED = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {names}:
            raise ImportError(f"{{name}} is not to be imported")

sys.meta_path.insert(0, Blocked())
"""
HEAVY = ("torch", "lightning", "hydra", "omegaconf", "rich", "matplotlib", "scipy", "tensorboard")


def test_a_row_per_job(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    drawn = {}

    def outcome(given):
        drawn[tuple(given.values())] = float(rng.random())
        return result(drawn[tuple(given.values())])

    write_sweep(tmp_path, AXES, outcome, fixed=["data=xor"])
    jobs = load_sweep(tmp_path)
    assert isinstance(jobs, pandas.DataFrame)
    assert jobs.index.tolist() == [f"{k}-job" for k in range(12)]
    assert jobs.index.name == "job"
    assert "data" not in jobs
    for lr in (0.1, 0.01):
        for activation in AXES["activation"]:
            found = jobs[(jobs["optimizer.lr"] == lr) & (jobs["activation"] == activation)]
            expected = [value for (a, b, _), value in drawn.items() if a == activation and float(b) == lr]
            assert found["test/accuracy"].tolist() == expected
            assert found["seed"].tolist() == [0, 1, 10]
    assert jobs.dtypes["seed"] == np.int64
    assert set(jobs["status"]) == {"ok"}
    assert jobs[["class", "ratio", "rate_per_layer", "findings", "seconds"]].drop_duplicates().to_numpy().tolist() == [
        ["healthy", 1.5, 1.1, "dead", 2.5]
    ]


def test_a_sweep_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As compare.py and report.py take it; a folder that is there comes first."""
    monkeypatch.setattr("gradpath.sweep.again.SWEEPS", tmp_path / "sweeps")
    monkeypatch.chdir(tmp_path)
    write_sweep(tmp_path / "sweeps/a", {"seed": ["0", "1"]}, lambda given: result(0.5))
    assert len(load_sweep("a")) == 2
    write_sweep(tmp_path / "a", {"seed": ["0"]}, lambda given: result(0.5))
    assert len(load_sweep("a")) == 1
    with pytest.raises(FileNotFoundError, match="load_sweep: b: no sweep"):
        load_sweep("b")


def test_numbers_that_no_job_has_are_columns_of_numbers(tmp_path: Path) -> None:
    verdict = {"class": "healthy", "ratio": None, "rate_per_layer": None, "findings": []}
    write_sweep(tmp_path, {"seed": ["0", "1"]}, lambda given: result(0.5, verdict=verdict))
    jobs = load_sweep(tmp_path)
    assert [jobs.dtypes[name] for name in ("ratio", "rate_per_layer")] == [np.float64] * 2
    assert jobs["ratio"].isna().all()
    assert jobs["error"].tolist() == [None, None]


def test_jobs_without_a_result(tmp_path: Path) -> None:
    contents = [None, result(None, status="failed", error="out of memory"), result("nan", status="diverged"), result(0.5)]
    write_sweep(tmp_path, {"seed": ["0", "1", "2", "3"]}, lambda given: contents[int(given["seed"])])
    jobs = load_sweep(str(tmp_path))
    assert jobs["status"].tolist() == ["missing", "failed", "diverged", "ok"]
    assert jobs["seed"].tolist() == [0, 1, 2, 3]
    assert jobs["error"].tolist()[1] == "out of memory"
    assert np.isnan(jobs["test/accuracy"].to_numpy(dtype=float)).tolist() == [True, True, True, False]


def test_a_sweep_that_has_just_begun(tmp_path: Path) -> None:
    write_sweep(tmp_path, {"seed": ["0", "1"]}, lambda given: None)
    assert load_sweep(tmp_path)["status"].tolist() == ["missing", "missing"]


@pytest.mark.parametrize("others", [(), ("pandas",)])
def test_nothing_heavy_is_needed(tmp_path: Path, others: tuple[str, ...]) -> None:
    write_sweep(tmp_path, {"activation": ["relu", "tanh"], "seed": ["0"]}, lambda given: result(0.5))
    code = BLOCKED.format(names=(*HEAVY, *others)) + (
        f"from gradpath import load_sweep\njobs = load_sweep({str(tmp_path)!r})\n"
        "import json\nprint(json.dumps(jobs if isinstance(jobs, list) else jobs.reset_index().to_dict('records')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=False)
    assert done.returncode == 0, done.stderr
    assert [(job["job"], job["activation"], job["seed"]) for job in json.loads(done.stdout)] == [
        ("0-job", "relu", 0),
        ("1-job", "tanh", 0),
    ]


def test_what_is_no_sweep(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(FileNotFoundError, match=r"^load_sweep: \S+: no sweep \(sweep.yaml is not there\)$"):
            load_sweep(place)


@pytest.mark.parametrize("text", ["", "jobs: [", "command: x\nthreads: 1\njobs: [{}]\n", "- 1\n", "\x00"])
def test_a_damaged_plan(tmp_path: Path, text: str) -> None:
    (tmp_path / "sweep.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"^load_sweep: \S+sweep.yaml: damaged \(.+\)$"):
        load_sweep(tmp_path)


@pytest.mark.parametrize("text", ["", "{", '"text"', '{"status": "fine"}', "[1]"])
def test_a_damaged_result(tmp_path: Path, text: str) -> None:
    write_sweep(tmp_path, {"seed": ["0", "1"]}, lambda given: result(0.5) if given["seed"] == "0" else text)
    with pytest.raises(ValueError, match=r"^load_sweep: \S+1-job/result.json: damaged \([\w ]+\)$"):
        load_sweep(tmp_path)


def test_odd_results_are_read(tmp_path: Path) -> None:
    """Parts that are of another type than ours count as not there."""
    odd = [{"metrics": 3}, {"verdict": []}, {"choices": [1]}, {"durations": {"fit": "nan"}}, {"verdict": {"findings": 2}}]
    write_sweep(tmp_path, {"seed": [str(k) for k in range(5)]}, lambda given: result(0.5) | odd[int(given["seed"])])
    assert load_sweep(tmp_path)["seed"].tolist() == [*range(5)]
