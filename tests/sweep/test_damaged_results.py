"""A `result.json` that anybody may have written: each reader takes it for missing, or names it as damaged, at once."""

import json
import math
import os
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import Command
from finished_sweeps import result, write_sweep
from gradpath import load_sweep
from gradpath.dashboard.sweeps import Sweeps
from gradpath.errors import ConfigError
from gradpath.saved_json import parsed, read_json
from gradpath.sweep.collecting import collect
from gradpath.sweep.compared import compared
from gradpath.sweep.outcome import objective, read_outcome
from gradpath.sweep.plan import read_plan
from gradpath.sweep.report import write_run_report
from gradpath.sweep.summary import write_summary
from gradpath.sweep.tabulated import FORMATS

PROFILE = [{"layer": f"hidden_{k}", "delta": 0.5**k} for k in range(3)]
WHOLE = result(
    0.5, seed=1, parameters=17, choices={"data": "xor"}, profile=PROFILE, theory=PROFILE, profile_end=PROFILE,
    environment={"torch": "2", "threads": 1}, traceback="line\n", command="python train.py",
)  # fmt: skip
STRANGE: list[Any] = [
    None, True, -1, 1.5, "text", "nan", "-inf", "\ud800", "9" * 5_000, [], {}, [[]], [1, "a"], {"a": {"b": [None]}},
    {"status": "ok"}, 10**19, 1e308, "x" * 5_000,
]  # fmt: skip
TEXTS = [b'{"status": "ok", "metrics": ' + b"9" * 400 + b"}", b'{"status": "ok", "metrics": {"test/loss": 1e400}}',
         b"[" * 100_000, b'{"a":' * 900 + b"1" + b"}" * 900,
         b'{"status": "ok", "verdict": ' + b"[" * 400 + b"]" * 400 + b"}",
         b"\xff\xfe", b"", b"null", b'"ok"', b"[1]", b"{}", b'{"status": ["ok"]}', b'{"status": "ok"}',
         b'{"status": "ok", "metrics": {"status": 1, "job": 2, "seed": 3, "test/accuracy": 4}}',
         b'{"status": "ok", "metrics": {"test/loss": NaN, "test/accuracy": -Infinity}}']  # fmt: skip


def places(value: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to each value inside another."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, item in inside for place in [(*above, key), *places(item, (*above, key))]]


def with_a_strange_value(rng: random.Random) -> bytes:
    content = json.loads(json.dumps(WHOLE))
    for _ in range(rng.randint(1, 3)):
        *above, last = rng.choice(places(content))
        node = content
        for key in above:
            node = node[key]
        node[last] = rng.choice(STRANGE)
    return json.dumps(content).encode()


def with_other_bytes(rng: random.Random) -> bytes:
    data = bytearray(json.dumps(WHOLE).encode())
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data))
        data[at : at + rng.choice([0, 1, 30])] = rng.choice([b"", b"{", b"[" * 2_000, b"9" * 400, b"\xff", b'"', b"\\ud800"])
    return bytes(data[: rng.randint(len(data) // 2, len(data))] if rng.random() < 0.3 else data)


def read_by_all(folder: Path, damaged: Path) -> None:
    """Reads a sweep in all the ways there are. What is refused is refused in one line that names the file."""
    plan = read_plan(folder)
    assert plan
    write_summary(folder, plan)
    write_run_report(damaged.parent)
    for key in ("metrics.val/loss", "verdict.class", "verdict", "metrics.test/accuracy.a"):
        objective(read_outcome(folder, damaged.parent.name), key)
    Sweeps().get(folder / "sweep.yaml", {})
    found = compared(collect([str(folder)])[0], "test/loss", None, None, "activation=relu")
    for written in FORMATS.values():
        written(found).encode()
    try:
        load_sweep(folder)
    except ValueError as error:
        said = str(error)
    else:
        said = f"load_sweep: {damaged}: nothing"
    assert re.fullmatch(rf"load_sweep: {damaged}: .*", said)


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    write_sweep(tmp_path, {"activation": ["relu", "tanh"], "seed": ["0", "1"]}, lambda given: WHOLE)
    return tmp_path


@pytest.mark.timeout(60)
@pytest.mark.parametrize("draw", [with_a_strange_value, with_other_bytes])
@pytest.mark.parametrize("seed", range(3))
def test_drawn_by_a_seed(sweep: Path, seed: int, draw: Callable[[random.Random], bytes]) -> None:
    rng = random.Random(seed)
    path = sweep / "3-job/result.json"
    for _ in range(40):
        path.write_bytes(draw(rng))
        read_by_all(sweep, path)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_a_text(sweep: Path, text: bytes) -> None:
    path = sweep / "3-job/result.json"
    path.write_bytes(text)
    read_by_all(sweep, path)


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_link_to_nothing(path: Path) -> None:
    path.symlink_to("nowhere")


def too_large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("make", [a_pipe, Path.mkdir, a_link_to_nothing, too_large])
@pytest.mark.parametrize("name", ["result.json", "overrides.yaml", "metrics.csv"])
def test_what_is_no_file(sweep: Path, name: str, make: Callable[[Path], None]) -> None:
    path = sweep / "3-job" / name
    path.unlink(missing_ok=True)
    make(path)
    if (name, make) != ("metrics.csv", too_large):
        read_by_all(sweep, path)


@pytest.mark.parametrize("make", [a_pipe, Path.mkdir, a_link_to_nothing, too_large])
def test_it_is_named(sweep: Path, make: Callable[[Path], None]) -> None:
    path = sweep / "3-job/result.json"
    path.unlink()
    make(path)
    assert read_outcome(sweep, "3-job") is None
    with pytest.raises(ConfigError, match=r"^(must be a file|missing|Is a directory|damaged \(larger than 64 MB\))\.$"):
        read_json(path)
    with pytest.raises(ValueError, match=rf"^load_sweep: {path}: "):
        load_sweep(sweep)


def test_what_is_written_is_read() -> None:
    for content in ({"a": [{"b": 2**63, "c": "\U0001f600 \\ud800"}]}, WHOLE):
        assert parsed(json.dumps(content).encode()) == content
    assert parsed(b'{"error": "\\ud800x"}') == {"error": "?x"}


@pytest.mark.parametrize("script", ["compare.py", "report.py"])
def test_commands_wait_for_no_pipe(sweep: Path, before_torch: Command, script: str) -> None:
    path = sweep / "3-job/result.json"
    path.unlink()
    os.mkfifo(path)
    done = before_torch(f"scripts/{script}", str(sweep))
    refused = script == "compare.py"
    assert (done.returncode, done.stderr.count("\n")) == (2 * refused, 1 * refused), done.stderr
    assert ("of 4 jobs 1 missing" in done.stderr) == refused


@pytest.mark.parametrize(
    ("key", "value"),
    [("verdict.ratio", 1.5), ("metrics.a", math.inf), ("metrics.b", math.nan), ("verdict.class", math.nan),
     ("verdict", math.nan), ("metrics.c", math.nan), ("metrics.d", math.nan), ("metrics.none", math.nan)],
)  # fmt: skip
def test_an_objective_is_a_number_or_nan(tmp_path: Path, key: str, value: float) -> None:
    metrics = {"a": "inf", "b": "nan", "c": True, "d": "1.5"}
    write_sweep(tmp_path, {"seed": ["0"]}, lambda given: result(0.5, metrics=metrics))
    assert objective(read_outcome(tmp_path, "0-job"), key) == pytest.approx(value, nan_ok=True)
