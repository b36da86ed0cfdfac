"""Reads finished sweeps and runs back. This needs neither torch nor Lightning nor Hydra."""

import os
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from gradpath.config.saved_yaml import read_yaml
from gradpath.errors import ConfigError
from gradpath.files import OVERRIDES, RESULT, SWEEP, relative
from gradpath.saved_json import read_json
from gradpath.sweep.again import places
from gradpath.sweep.given import FOLDER, SEED, Given, Run, Values, as_number, given
from gradpath.sweep.outcome import Outcome, read_outcome
from gradpath.sweep.plan import Plan, Planned, read_plan
from gradpath.sweep.rows import row
from gradpath.sweep.searched import row_goals
from gradpath.sweep.typed_values import typed_values

# The columns of a table that hold no numbers, beside the keys.
TEXTS = ("job", "status", "error", "class", "findings")


def load_sweep(folder: str | Path) -> Any:
    """Reads a sweep, finished or not, by its folder or its name: one row per job, with the job's name as index.

    The columns are `status` (ok, diverged, pruned, failed, ended from outside or missing) and `error`; the keys that differ
    between the jobs; `seed`; the metrics; `class`, `ratio`, `rate_per_layer` and `findings` of the verdict; `seconds`. A key
    whose values are all numbers is a column of numbers, another one of texts as typed.

    Returns:
        A pandas data frame if pandas is installed, else a list of dictionaries that have `job`, too.

    Raises:
        FileNotFoundError: the folder holds no sweep.
        ValueError: a file is damaged. The message says which.
    """
    place = next((place for place in places(folder) if (place / SWEEP).is_file()), None)
    if place is None:
        raise FileNotFoundError(f"load_sweep: {folder}: no sweep ({SWEEP} is not there)")
    try:
        plan = read_plan(place)
    except ConfigError as error:
        raise ValueError(f"load_sweep: {str(error).rstrip('.')}") from None
    assert plan is not None
    runs = sweep_runs(place, plan)
    for run in runs:
        if run.row["status"] == "missing" and run.row["error"]:
            raise ValueError(f"load_sweep: {run.row['error']}")
    was = given(runs)
    found = _with_numbers(table_rows(runs, was), was.keys)
    for one in found:
        del one["number"]
    try:
        pandas = import_module("pandas")
    except ImportError:
        return found
    names = dict.fromkeys(name for one in found for name in one if name != "job")
    frame = pandas.DataFrame(found, columns=[*names], index=pandas.Index([one["job"] for one in found], name="job"))
    # pandas cannot tell that a column without a value is one of numbers.
    empty = [name for name in names if name not in (*TEXTS, *was.keys) and frame[name].isna().all()]
    return frame.astype(dict.fromkeys(empty, float))


def table_rows(runs: Sequence[Run], was: Given) -> list[dict[str, Any]]:
    """Each run's number, job, status and error, the keys that differ, its seed and its results."""
    return [_table_row(run, values, was.keys) for run, values in zip(runs, was.values, strict=True)]


def _table_row(run: Run, values: Values, keys: Iterable[str]) -> dict[str, Any]:
    what = {name: run.row[name] for name in ("number", "job", "status", "error")}
    rest = {name: value for name, value in run.row.items() if name not in (*what, SEED)}
    return what | {key: values[key] for key in keys} | {SEED: values[SEED]} | rest


def sweep_runs(folder: Path, plan: Plan) -> list[Run]:
    """All jobs of a sweep."""
    goals = row_goals(plan)
    return [run_of(folder, folder, job, read_outcome(folder, job.name), goals) for job in plan.jobs]


def single_run(folder: Path) -> Run:
    """A run in a folder of its own, which holds a `result.json`.

    Raises:
        ConfigError: a file is damaged.
    """
    path = folder / OVERRIDES
    try:
        overrides = read_yaml(path) if path.exists() else []
    except ConfigError as error:
        raise ConfigError(f"{relative(path)}: {error}") from None
    if not isinstance(overrides, list):
        raise ConfigError(f"{relative(path)}: damaged (no list).")
    job = Planned(0, folder.name, [str(text) for text in overrides], {}, "", "")
    return run_of(folder, folder.parent, job, read_outcome(folder.parent, folder.name))


def run_of(source: Path, parent: Path, job: Planned, outcome: Outcome | None, goals: Mapping[str, str] | None = None) -> Run:
    """A job as it is compared with others.

    Args:
        source: the folder by which it was asked for.
        parent: the folder that holds its own.
        goals: as in `Run`.
    """
    found = row(job, outcome)
    if outcome is None:
        found["error"] = _damage(parent / job.name / RESULT)
    choices = outcome.result.get("choices") if outcome else None
    known = {str(key): str(value) for key, value in choices.items()} if isinstance(choices, Mapping) else {}
    typed = typed_values(job.overrides) | job.varied
    return Run(source, parent / job.name, typed, known, found, job.code, (*job.packages,), job.command, goals or {})


def _damage(path: Path) -> str | None:
    """What is wrong with a result that says nothing; None if there is none."""
    # A link that leads nowhere does not exist, but it is there.
    if not os.path.lexists(path):
        return None
    try:
        read_json(path)
    except ConfigError as error:
        return f"{relative(path)}: {str(error).rstrip('.')}"
    return f"{relative(path)}: damaged (no status)"


def _with_numbers(found: Sequence[dict[str, Any]], keys: Iterable[str]) -> list[dict[str, Any]]:
    """The rows, with numbers for texts in those keys whose values are all numbers."""
    for key in dict.fromkeys([*keys, SEED]):
        texts = [one[key] for one in found if one[key] is not None]
        numbers = [as_number(text) for text in texts]
        if key == FOLDER or None in numbers:
            continue
        whole = all(text.removeprefix("-").isdigit() for text in texts)
        for one in found:
            if one[key] is not None:
                one[key] = int(one[key]) if whole else float(one[key])
    return [*found]
