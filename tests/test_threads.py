"""The commands say how long torch's threads wait before torch is loaded; a user's own settings stay."""

from importlib import import_module
from itertools import islice
from pathlib import Path
from types import ModuleType

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


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(PROJECT / "scripts")
    script = import_module("benchmark")
    monkeypatch.setattr(script, "SHORT_RUN", ("data=xor", "data.epochs=1", "trainer.accelerator=cpu"))
    return script


def rows(printed: str) -> list[list[str]]:
    return [line.strip("| ").split(" | ") for line in printed.splitlines() if line.startswith("| ")][1:]


def test_the_numbers_of_neighbours(benchmark: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """Each way of waiting has its median, and the range of its ratios within a turn."""
    ways = len(benchmark.WAITS)
    benchmark.print_neighbours([[2.0] * ways, [4.0, 2.0, *[4.0] * (ways - 2)]], [[4.0] * ways, [4.0] * ways])
    first, second, *_ = rows(capsys.readouterr().out)
    assert first[1:] == ["3.00", "1.00 (1.00 to 1.00)", "4.00", "1.50 (1.00 to 2.00)"]
    assert second[1:] == ["2.00", "0.75 (0.50 to 1.00)", "4.00", "2.00 (2.00 to 2.00)"]


def test_the_seconds_of_a_short_run(benchmark: ModuleType) -> None:
    assert 0 < benchmark.short_run({"GOMP_SPINCOUNT": "300000"}) < 60


def test_the_table_of_own_loops(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(benchmark, "OWN_STEPS", 1)
    benchmark.own_loops(pairs=1)
    names = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert len(names) == 2 * 5
    assert sum("1.00 (1.00 to 1.00)" in line for line in names) >= 2


@pytest.mark.exhaustive
def test_the_table_of_neighbours(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each way of waiting has a row; the first is compared with itself. The runs are short, and two ways are enough."""
    monkeypatch.setattr(benchmark, "WAITS", dict(islice(benchmark.WAITS.items(), 2)))
    benchmark.neighbours(pairs=1)
    found = rows(capsys.readouterr().out)
    assert [row[0].partition(":")[0] for row in found] == ["libgomp's own", "gradpath's"]
    assert found[0][2] == "1.00 (1.00 to 1.00)"
    assert all(float(row[1]) > 0 and float(row[3]) > 0 for row in found)
