"""Runs that were not made alike: what an edited option changes is a key, and every table says what it mixes."""

import csv
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from finished_sweeps import result, write_run
from gradpath import load_sweep
from gradpath.sweep.collecting import collect
from gradpath.sweep.compared import compared
from gradpath.sweep.plan import Plan, Planned, write_plan
from gradpath.sweep.summary import write_summary

EDITED = "optimizer.lr differs between the runs, though no command says so: an option's file was edited"
CONFIG: dict[str, Any] = {
    "seed": 0, "resume": None, "data": {"epochs": 10}, "activation": {"_target_": "torch.nn.ReLU"},
    "model": {"depth": 3, "hidden": [8, 8, 8]}, "optimizer": {"lr": 0.1, "weight_decay": 0.0},
    "trainer": {"max_epochs": 10},
}  # fmt: skip


def config(**changed: Any) -> dict[str, Any]:
    """A resolved configuration with other values: `optimizer__lr=0.2`."""
    found = json.loads(json.dumps(CONFIG))
    for name, value in changed.items():
        *above, key = name.split("__")
        place = found
        for part in above:
            place = place[part]
        place[key] = value
    return found


def write(folder: Path, *jobs: tuple[int, Mapping[str, str], Mapping[str, Any]], codes: str = "a") -> Plan:
    """A sweep of jobs: by which command, what was typed, and the configuration that it ran with."""
    planned = []
    for number, (command, typed, used) in enumerate(jobs):
        overrides = [f"{key}={value}" for key, value in typed.items()]
        code = codes[number % len(codes)]
        planned.append(Planned(number, f"{number}-job", overrides, dict(typed), f"config {number}", code, command))
        choices = {"activation": "relu", "optimizer": "adam", "data": "mnist", "model": "deep", "trainer": "cpu"}
        chosen = choices | {key: value for key, value in typed.items() if key in choices}
        write_run(folder / f"{number}-job", result(0.5 + number / 100, choices=chosen, seed=int(typed.get("seed", 0))))
        (folder / f"{number}-job/config.yaml").write_text(yaml.safe_dump(dict(used)))
    commands = [f"python train.py -m number={k}" for k in range(1 + max(command for command, _, _ in jobs))]
    plan = Plan((*commands,), 1, (*planned,))
    write_plan(folder, plan)
    write_summary(folder, plan)
    return plan


def keys_of(folder: Path) -> list[str]:
    """The keys of the summary, which are those of the report, of `load_sweep` and of `compare.py`."""
    with (folder / "summary.csv").open(newline="") as file:
        rows = [*csv.DictReader(file)]
    names = [*rows[0]]
    keys = names[names.index("error") + 1 : names.index("test/loss")]
    runs, _ = collect([str(folder)])
    assert [key for key in keys if key != "seed"] == compared(runs, None, None, None, None).by
    page = content(folder)
    assert [key for key in page["keys"] if key != "seed"] == [key for key in keys if key != "seed"]
    table = load_sweep(folder)
    assert [*table.columns][2 : 2 + len(keys)] == keys
    head = next(line for line in (folder / "summary.md").read_text().splitlines() if line.startswith("| job |"))
    assert head.startswith(f"| job | {' | '.join(page['keys'])} | status |")
    for key in page["keys"]:
        column = [row[key] for row in rows]
        assert column == [run["choices"][page["keys"].index(key)] or "" for run in page["runs"]]
    return keys


def content(folder: Path) -> Any:
    found = re.search(r'id="content">(.*?)</script>', (folder / "report.html").read_text())
    assert found
    return json.loads(found[1])


def notes(folder: Path) -> list[str]:
    """What stands with each table, and must be the same everywhere."""
    runs, _ = collect([str(folder)])
    found = [note for note in compared(runs, None, None, None, None).notes if "made by" in note or "no command" in note]
    assert content(folder)["notes"] == found
    text = (folder / "summary.md").read_text()
    assert all(note in text for note in found)
    return found


def test_an_edited_option_is_a_key(tmp_path: Path) -> None:
    """Runs of two seeds, the option's file edited in between: they are no two seeds of one cell."""
    write(tmp_path, (0, {"seed": "0"}, config()), (1, {"seed": "1"}, config(seed=1, optimizer__lr=0.2)))
    assert keys_of(tmp_path) == ["seed", "optimizer.lr"]
    assert [note.startswith(EDITED) for note in notes(tmp_path)] == [True]
    assert load_sweep(tmp_path)["optimizer.lr"].tolist() == [0.1, 0.2]


def test_an_edit_that_comes_with_another_value_is_a_key(tmp_path: Path) -> None:
    jobs = [
        (0, {"optimizer.weight_decay": "0.1"}, config(optimizer__weight_decay=0.1)),
        (1, {"optimizer.weight_decay": "0.2"}, config(optimizer__weight_decay=0.2, optimizer__lr=0.3)),
    ]
    write(tmp_path, *jobs)
    assert keys_of(tmp_path)[:2] == ["optimizer.weight_decay", "optimizer.lr"]


def test_a_run_that_went_on_with_other_epochs_is_no_seed(tmp_path: Path) -> None:
    """In a sweep of one command, too."""
    write(tmp_path, (0, {"seed": "0"}, config()), (0, {"seed": "1"}, config(seed=1, trainer__max_epochs=20)))
    assert keys_of(tmp_path) == ["seed", "trainer.max_epochs"]


def test_what_was_typed_explains_what_follows_from_it(tmp_path: Path) -> None:
    """Another option, a copy of its value, a list made of a typed number: none of them is a key of its own."""
    tanh = {"_target_": "torch.nn.Tanh"}
    jobs = [
        (0, {"activation": "relu", "seed": "0"}, config()),
        (1, {"activation": "tanh", "seed": "0"}, config(activation=tanh)),
        (1, {"data": "xor", "seed": "0"}, config(data={"epochs": 3}, trainer={"max_epochs": 3})),
        (2, {"model.depth": "2", "seed": "0"}, config(model={"depth": 2, "hidden": [8, 8]})),
    ]
    write(tmp_path, *jobs)
    assert keys_of(tmp_path)[:-1] == ["activation", "data", "model.depth"]
    assert notes(tmp_path) == []


def test_an_untyped_key_has_the_value_that_ran(tmp_path: Path) -> None:
    """In every table: what a later command sweeps was the default before."""
    jobs = [
        (0, {"seed": "0"}, config()),
        (1, {"seed": "0", "optimizer.weight_decay": "0.5"}, config(optimizer__weight_decay=0.5)),
    ]
    write(tmp_path, *jobs)
    assert keys_of(tmp_path)[0] == "optimizer.weight_decay"
    assert [run["choices"] for run in content(tmp_path)["runs"]] == [["0.0"], ["0.5"]]
    assert "| 0-job | 0.0 | ok |" in (tmp_path / "summary.md").read_text()


def test_versions_of_the_code_are_told_everywhere(tmp_path: Path) -> None:
    jobs = [(0, {"seed": str(seed)}, config(seed=seed)) for seed in range(2)]
    plan = write(tmp_path, *jobs, codes="ab")
    assert notes(tmp_path) == ["The runs were made by 2 versions of the code."]
    # A job that has not run was made by none.
    (tmp_path / "1-job/result.json").unlink()
    write_summary(tmp_path, replace(plan))
    assert notes_while_it_runs(tmp_path) == [True, False]


def notes_while_it_runs(folder: Path) -> list[bool]:
    """Whether the tables say as of when they are, the same moment in both; and whether they speak of the code."""
    page, text = content(folder)["notes"], (folder / "summary.md").read_text()
    assert all(note in text for note in page)
    as_of = re.compile(r"As of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}: 1 of 2 jobs had not ended\.")
    return [bool(as_of.fullmatch(page[0])), "versions" in text]


def test_all_commands_make_one_sweep_again(tmp_path: Path) -> None:
    """One that did not name the sweep would make another sweep, beside the first."""
    write(tmp_path, (0, {"seed": "0"}, config()), (1, {"seed": "1"}, config(seed=1)))
    expected = [f"python train.py -m number={k} hydra.sweep.dir={tmp_path}" for k in range(2)]
    assert content(tmp_path)["commands"] == expected
    assert all(f"    {command}\n" in (tmp_path / "summary.md").read_text() for command in expected)
