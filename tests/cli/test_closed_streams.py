"""`python train.py ... >&-`: a closed stream takes what is written, and no file takes its place. Streams of other kinds."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from commands import environment
from finished_sweeps import result, write_sweep

TINY = "data=xor model.hidden=[4] trainer=cpu trainer.max_epochs=1 probe=none"
CLOSED = (">&-", "2>&-", "<&- >&- 2>&-")


def closed(project: Path, typed: str, how: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command with closed streams, in a new interpreter, with more environment variables."""
    line = f"{shlex.quote(sys.executable)} {typed} {how}"
    given = environment(project) | variables
    return subprocess.run(line, shell=True, cwd=project, env=given, capture_output=True, text=True, check=False, timeout=240)


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


@pytest.mark.parametrize(
    ("typed", "how", "said"),
    [
        ("train.py nonsense", "2>/dev/full", ""),
        ("train.py --help", ">/dev/full", "error: output: No space left on device.\n"),
    ],
)
def test_where_nothing_can_be_written(project: Path, typed: str, how: str, said: str) -> None:
    """The exit code is that of any mistake, and no other folder for a run is advised where none is at fault."""
    done = closed(project, typed, how)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)


def test_an_encoding_without_the_characters(project: Path, tmp_path: Path) -> None:
    done = closed(project, f"train.py {TINY} \"hydra.run.dir='{tmp_path}/grün'\"", "", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"logs: {tmp_path}/gr\\xfcn\n" in done.stdout
    again = closed(project, f"scripts/evaluate.py run={tmp_path}/grün", "", PYTHONIOENCODING="ascii")
    assert again.stdout.startswith(f"run: {tmp_path}/gr\\xfcn\n"), again.stderr


@pytest.mark.parametrize("code", ["sys.stdout.close()", "sys.stdout = None", "sys.stdout.close(); sys.stderr.close()"])
def test_a_users_code_that_closes_them(code: str, project: Path, tmp_path: Path) -> None:
    """It is imported and tried before the run begins, and what the run says then is written."""
    (tmp_path / "closing.py").write_text(f"import sys\n{code}\ndef phi(x):\n    return x.tanh()\n")
    (tmp_path / "activation").mkdir()
    (tmp_path / "activation/own.yaml").write_text("_target_: closing.phi\n")
    typed = f"train.py {TINY} --config-dir {tmp_path} activation=own hydra.run.dir={tmp_path}/run"
    done = closed(project, typed, "", GRADPATH_PACKAGES="closing", PYTHONPATH=f"{project}/src:{tmp_path}")
    assert (done.returncode, done.stderr) == (0, "")
    assert "test/loss" in done.stdout
