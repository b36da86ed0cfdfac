"""The jobs of a sweep, asked over HTTP from a real TensorBoard; plans that are good, damaged or huge."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from board import get, refusal, serving
from gradpath.dashboard.archive import RecordError
from gradpath.dashboard.sweeps import Sweeps
from synthetic import content, write

GOOD = content(count=4, steps=6, every=7)


def job(name: str, **varied: str) -> dict[str, Any]:
    return {"number": 0, "name": name, "overrides": [], "varied": varied, "config": "", "code": ""}


def planned(folder: Path, *jobs: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sweep.yaml").write_text(yaml.safe_dump({"command": "c", "threads": 1, "jobs": [*jobs]}))


def test_the_jobs_of_a_sweep(tmp_path: Path) -> None:
    names = ["0-record", "1-nothing", "2-failed", "3-damaged", "4-elsewhere", "5-unknown"]
    planned(tmp_path / "sweep", *(job(name, activation="null", seed=name[0]) for name in names))
    planned(tmp_path / "without a record", job("0-a"))
    write(tmp_path / "sweep/0-record", GOOD)
    for name, text in {
        "2-failed": '{"status": "failed"}',
        "3-damaged": "[" * 5_000,
        "5-unknown": '{"status": "<b>"}',
    }.items():
        (tmp_path / "sweep" / name).mkdir()
        (tmp_path / "sweep" / name / "result.json").write_text(text)
    (tmp_path / "sweep/failures").mkdir()
    (tmp_path / "sweep/failures/4-elsewhere.json").write_text('{"status": "diverged"}')
    (tmp_path / "sweep/failures/1-nothing.json").write_text("1")
    with serving("--logdir", tmp_path) as url:
        route = f"{url}/data/plugin/gradient_flow"
        assert [sweep["name"] for sweep in get(f"{route}/runs")["sweeps"]] == ["sweep"]
        jobs = get(f"{route}/sweep?name=sweep")["jobs"]
        assert [entry["name"] for entry in jobs] == names
        assert [entry["run"] for entry in jobs] == ["sweep/0-record", *[None] * 5]
        assert [entry["status"] for entry in jobs] == [None, None, "failed", None, "diverged", None]
        assert jobs[2]["varied"] == {"activation": "null", "seed": "2"}
        for name in ("", "without a record", "absent", "sweep/", "sweep/../sweep", "/etc"):
            assert refusal(f"{route}/sweep?name={quote(name)}")[0] == 404
        write(tmp_path / "sweep/1-nothing", GOOD)
        planned(tmp_path / "sweep", job("1-nothing", a="b"))
        get(f"{route}/runs")
        assert get(f"{route}/sweep?name=sweep")["jobs"] == [
            {"name": "1-nothing", "varied": {"a": "b"}, "run": "sweep/1-nothing", "status": None}
        ]


def test_a_result_is_read_once(tmp_path: Path) -> None:
    """A page asks again and again. A result that has changed is read again."""
    planned(tmp_path, *(job(f"{k}-a") for k in range(9)))
    for k in range(9):
        (tmp_path / f"{k}-a").mkdir()
        (tmp_path / f"{k}-a/result.json").write_text('{"status": "ok"}' + 100_000 * " ")
    sweeps, asked = Sweeps(), tmp_path / "sweep.yaml"
    read = lambda: int(Path("/proc/self/io").read_text().split()[1])  # noqa: E731
    before = read()
    sweeps.get(asked, {})
    once = read()
    sweeps.get(asked, {})
    assert once - before > 900_000
    assert read() - once < 90_000
    (tmp_path / "4-a/result.json").write_text('{"status": "failed"}')
    statuses = [entry["status"] for entry in json.loads(sweeps.get(asked, {}))["jobs"]]
    assert statuses == [*["ok"] * 4, "failed", *["ok"] * 4]


PLANS = {
    "": "is damaged: it is empty.",
    "- a": "is damaged (TypeError).",
    "jobs: [a]": "is damaged (TypeError).",
    "jobs: [{name: 0-a}]": "is damaged (KeyError).",
    "jobs: [{name: 0-a, varied: b}]": "is damaged (AttributeError).",
    "jobs: [{name: 0-a, varied: {a: [b]}}]": "is damaged: a varied value is no text.",
    "jobs: [{name: ../a, varied: {}}]": "is damaged: a job has a name that none can have.",
    "jobs: [{name: 0/../../a, varied: {}}]": "is damaged: a job has a name that none can have.",
    "jobs: [&a {name: 0-a, varied: *a}]": "is damaged: it has an anchor, an alias or a tag.",
    "jobs: !!python/object/apply:os.getcwd []": "is damaged: it has an anchor, an alias or a tag.",
    "jobs: [": "is damaged (ParserError).",
    "jobs: " + "[" * 500_000: "is damaged: it has lists within lists.",
    "? " * 500_000: "is damaged: it has lists within lists.",
    "jobs: [" + "a," * 1_000_000 + "]": "is too large: at most 200,000 words are read.",
    "jobs: [" + " " * 2_100_000 + "]": "is too large: at most 2,097,152 bytes are read.",
}


def test_a_plan_that_is_no_plan_is_refused_in_a_sentence(tmp_path: Path) -> None:
    for text, sentence in PLANS.items():
        (tmp_path / "sweep.yaml").write_text(text)
        with pytest.raises(RecordError) as refused:
            Sweeps().get(tmp_path / "sweep.yaml", {})
        assert str(refused.value) == sentence, text[:80]
