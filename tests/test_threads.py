"""The commands say how long torch's threads wait before torch is loaded; a user's own settings stay."""

from importlib import import_module
from itertools import islice
from pathlib import Path

import pytest

from commands import ended, environment, fresh_process
from gradpath.config.checks import PROJECT
from gradpath.threads import CHOSEN, TURNS

# It stands in for torch, whose library reads the variable when it is loaded.
TORCH = "import os\nprint(os.environ.get('GOMP_SPINCOUNT'))\nraise SystemExit(7)\n"


@pytest.mark.parametrize(
    ("chosen", "expected"), [({}, str(TURNS)), ({"OMP_WAIT_POLICY": "active"}, "None"), ({"GOMP_SPINCOUNT": "9"}, "9")]
)
@pytest.mark.parametrize("typed", ["train.py", "scripts/probe.py", "scripts/evaluate.py run=RUN"])
def test_before_torch_is_loaded(typed: str, chosen: dict[str, str], expected: str, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text(TORCH)
    (tmp_path / "run").mkdir()
    (tmp_path / "run/overrides.yaml").write_text("[]\n")
    variables = {name: value for name, value in environment(PROJECT, tmp_path).items() if name not in CHOSEN} | chosen
    arguments = typed.replace("RUN", str(tmp_path / "run")).split()
    script = str(PROJECT / arguments[0])
    done = ended(fresh_process(script, *arguments[1:], folder=tmp_path, environment=variables))
    assert (done.returncode, done.stdout) == (7, f"{expected}\n"), done.stderr
    assert [path.name for path in tmp_path.iterdir() if path.name not in ("run", "torch.py", "__pycache__")] == []


@pytest.mark.slow
def test_the_table_of_neighbours(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Each way of waiting has a row; the first is compared with itself. The runs are short, and two ways are enough."""
    monkeypatch.syspath_prepend(PROJECT / "scripts")
    benchmark = import_module("benchmark")
    monkeypatch.setattr(benchmark, "SHORT_RUN", ("data=xor", "data.epochs=1", "trainer.accelerator=cpu"))
    monkeypatch.setattr(benchmark, "WAITS", dict(islice(benchmark.WAITS.items(), 2)))
    benchmark.neighbours(pairs=1)
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")][1:]
    assert [row[0].partition(":")[0] for row in rows] == ["libgomp's own", "gradpath's"]
    assert rows[0][2] == "1.00 (1.00 to 1.00)"
    assert all(float(row[1]) > 0 and float(row[3]) > 0 for row in rows)
