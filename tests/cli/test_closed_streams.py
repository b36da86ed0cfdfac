"""`python train.py ... >&-`: a closed stream takes what is written, and no file takes its place."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from commands import environment
from finished_sweeps import result, write_sweep

TINY = "data=xor model.hidden=[4] trainer=cpu trainer.max_epochs=1 probe=none"
CLOSED = (">&-", "2>&-", "<&- >&- 2>&-")


def closed(project: Path, typed: str, how: str) -> subprocess.CompletedProcess[str]:
    """A command with closed streams, in a new interpreter."""
    line = f"{shlex.quote(sys.executable)} {typed} {how}"
    return subprocess.run(
        line, shell=True, cwd=project, env=environment(project), capture_output=True, text=True, check=False, timeout=240
    )


@pytest.mark.parametrize("how", CLOSED)
@pytest.mark.parametrize(
    ("typed", "code"),
    [("train.py --help", 0), ("train.py nonsense", 2), ("scripts/compare.py made", 0), ("scripts/compare.py mad", 2),
     ("scripts/report.py logs/sweeps/made", 0), ("train.py -m seed=0,1 sweep.dry_run=true", 0)],
)  # fmt: skip
def test_it_ends_as_ever(project: Path, typed: str, code: int, how: str) -> None:
    write_sweep(project / "logs/sweeps/made", {"seed": ["0", "1"]}, lambda given: result(0.5))
    done = closed(project, typed, how)
    assert done.returncode == code, done.stderr
    assert done.stderr.count("\n") == (code == 2 and "2>" not in how), done.stderr


@pytest.mark.parametrize("how", [">&-", "<&- >&- 2>&-"])
def test_a_run_is_made(project: Path, tmp_path: Path, how: str) -> None:
    for typed, folder in (("hydra.run.dir=", tmp_path / "run"), ("-m seed=0,1 hydra.sweep.dir=", tmp_path / "sweep")):
        done = closed(project, f"train.py {TINY} {typed}{folder}", how)
        assert (done.returncode, done.stderr) == (0, "")
    found = sorted(path for name in ("result.json", "metrics.csv") for path in tmp_path.rglob(name))
    assert len(found) == 6
    assert not any("epoch 1" in path.read_text() for path in found)
    assert all(path.with_name("job.log").stat().st_size for path in found if path.parent.parent.name == "sweep")
