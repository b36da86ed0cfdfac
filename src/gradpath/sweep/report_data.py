"""What a report shows, collected from the folders of the jobs. Neither torch nor Lightning is imported."""

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from gradpath.config.saved_yaml import read_yaml
from gradpath.errors import ConfigError
from gradpath.files import OVERRIDES
from gradpath.saved_json import number
from gradpath.sweep.again import alone
from gradpath.sweep.curves import LOSSES, Curve, epochs, kept_epochs, kept_layers, thinned
from gradpath.sweep.outcome import read_outcome
from gradpath.sweep.plan import Plan, Planned, read_plan
from gradpath.sweep.rows import Row, row, varied_keys

# Points of a curve and of a profile. A report of many runs has fewer for each.
MOST, FEWEST, IN_ALL = 60, 20, 12_000
DIGITS = 4
# Characters of a text, and findings of a run.
LONGEST, FINDINGS = 1_000, 20
ENVIRONMENT = ("gradpath", "torch", "lightning", "python", "device", "gpu", "threads", "git_commit", "git_clean")
JUDGED = ("class", "ratio", "rate_per_layer")
Content = dict[str, Any]


class Table:
    """Each item once, by its number: seeds of a configuration share most of their texts."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self._known: dict[str, int] = {}

    def place(self, item: Any) -> int:
        key = repr(item)
        if key not in self._known:
            self._known[key] = len(self.items)
            self.items.append(item)
        return self._known[key]


def sweep_content(folder: Path, plan: Plan, rows: Iterable[Row]) -> Content:
    """The content of the report of a sweep. See `static/data.js` for its shape."""
    common = [
        text for text in (plan.jobs[0].overrides if plan.jobs else []) if all(text in job.overrides for job in plan.jobs)
    ]
    head = {"kind": "sweep", "name": folder.name, "commands": [*plan.commands], "common": common}
    return head | _content(folder, plan.jobs, rows, varied_keys(plan.jobs), common)


def run_content(folder: Path) -> Content:
    """The content of the report of one run."""
    outcome = read_outcome(folder.parent, folder.name)
    job = Planned(0, folder.name, _overrides(folder), {}, "", "")
    command = str(outcome.result.get("command", "")) if outcome else ""
    # A job of a sweep was made by the sweep's command; alone it is made by its overrides.
    if not command or {"-m", "--multirun"} & {*command.split()}:
        command = alone(command, job.overrides)
    head = {"kind": "run", "name": folder.name, "commands": [command], "common": []}
    return head | _content(folder.parent, [job], [row(job, outcome, [])], [], [])


def _content(
    folder: Path, jobs: Sequence[Planned], rows: Iterable[Row], keys: Sequence[str], common: Sequence[str]
) -> Content:
    points = min(MOST, max(FEWEST, IN_ALL // max(1, len(jobs))))
    curves = [epochs(folder / job.name) for job in jobs]
    kept = kept_epochs(curves, points)
    findings, grids, layers = Table(), Table(), Table()
    environment = {name: Table() for name in ENVIRONMENT}
    runs, numbers = [], []
    for job, own, curve in zip(jobs, rows, curves, strict=True):
        # One result at a time: those of a thousand jobs take a hundred megabytes.
        outcome = read_outcome(folder, job.name)
        result: Mapping[str, Any] = outcome.result if outcome else {}
        _see(environment, _mapping(result.get("environment")))
        numbers.append(_numbers(result) | {"seconds": short(own["seconds"])})
        runs.append(
            {
                **{name: own[name] for name in ("number", "job", "status")},
                "error": cut(own["error"]),
                "traceback": cut(result.get("traceback"), from_end=True),
                "choices": [cut(job.varied.get(key)) for key in keys],
                "overrides": [text for text in job.overrides if text not in common],
                "verdict": _verdict(_mapping(result.get("verdict")), findings),
                "curves": _curves(curve, kept, grids),
                **_profiles(result, points, layers),
            }
        )
    columns = list(dict.fromkeys(name for values in numbers for name in values))
    for run, values in zip(runs, numbers, strict=True):
        run["values"] = [values.get(name) for name in columns]
    tables = {"findings": findings.items, "grids": grids.items, "layers": layers.items}
    made = {name: table.items for name, table in environment.items()}
    return {"keys": [*keys], "columns": columns, "environment": made, "runs": runs, **tables}


def _numbers(result: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(_mapping(result.get("metrics"))) | {"parameters": result.get("parameters")}
    return {name: short(number(value)) for name, value in found.items()}


def _see(environment: Mapping[str, Table], made: Mapping[str, Any]) -> None:
    """Notes what a run was made with. A sweep that went on elsewhere has several of some."""
    for name, table in environment.items():
        if made.get(name) is not None:
            value = made[name]
            table.place(value if isinstance(value, bool | int) else cut(value))


def _verdict(verdict: Mapping[str, Any], findings: Table) -> Content | None:
    if not verdict:
        return None
    listed = verdict.get("findings")
    texts = [
        {key: cut(item.get(key)) for key in ("kind", "cause", "layer", "message", "remedy")}
        for item in (listed if isinstance(listed, list) else [])[:FINDINGS]
        if isinstance(item, Mapping)
    ]
    end = _mapping(verdict.get("end"))
    return {
        **_judged(verdict),
        "end": _judged(end) if end else None,
        "deviation": cut(_mapping(verdict.get("deviation")).get("sentence")),
        "findings": [findings.place(text) for text in texts],
    }


def _judged(part: Mapping[str, Any]) -> Content:
    kind, ratio, rate = (part.get(name) for name in JUDGED)
    return {"class": cut(kind), "ratio": short(number(ratio)), "rate_per_layer": short(number(rate))}


def _curves(curves: Mapping[str, Curve], kept: set[int], grids: Table) -> Content:
    found = {}
    for name in LOSSES:
        points = thinned(curves[name], kept)
        if points:
            found[name] = [grids.place([epoch for epoch, _ in points]), [short(value) for _, value in points]]
    return found


def _profiles(result: Mapping[str, Any], points: int, layers: Table) -> Content:
    """The gradient at each layer over that at the last hidden one: at the start, by theory, and at the end."""
    parts = {name: _deltas(result.get(name)) for name in ("profile", "theory", "profile_end")}
    names = list(parts["profile"])
    if len(names) < 2:
        return {"layers": None}
    shown = [(place, names[place]) for place in kept_layers(len(names), points)]
    content: Content = {"layers": layers.place([[place + 1, cut(name)] for place, name in shown])}
    for part, deltas in parts.items():
        reference = deltas.get(names[-2], math.nan)
        content[part] = [short(_against(deltas.get(name, math.nan), reference)) for _, name in shown] if deltas else None
    return content


def _deltas(rows: Any) -> dict[str, float]:
    listed = [item for item in rows if isinstance(item, Mapping)] if isinstance(rows, list) else []
    values = [(str(item.get("layer")), number(item.get("delta"))) for item in listed]
    return {name: float(value) if isinstance(value, int | float) else math.nan for name, value in values}


def _against(value: float, reference: float) -> float:
    """What is 0, infinite or NaN stays so. The rest has no value beside a reference that is. (The tab's rule.)"""
    if value == 0 or not math.isfinite(value):
        return value
    return value / reference if 0 < reference < math.inf else math.nan


def _overrides(folder: Path) -> list[str]:
    """What a run was given: as it says itself, or as the sweep says it of a job that could not begin."""
    with suppress(ConfigError):
        content = read_yaml(folder / OVERRIDES)
        return [str(text) for text in content] if isinstance(content, list) else []
    with suppress(ConfigError):
        plan = read_plan(folder.parent)
        return next((job.overrides for job in plan.jobs if job.name == folder.name), []) if plan else []
    return []


def short(value: Any) -> Any:
    """A number in few digits, as JSON can have it: null for NaN, and a text for an infinity."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, int):
        return value
    if not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    rounded = float(f"{value:.{DIGITS}g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 10**DIGITS else rounded


def cut(text: Any, from_end: bool = False) -> str | None:
    """A text of any length as one that can be shown."""
    if text is None:
        return None
    whole = str(text)
    if len(whole) <= LONGEST:
        return whole
    return f"…{whole[1 - LONGEST :]}" if from_end else f"{whole[: LONGEST - 1]}…"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
