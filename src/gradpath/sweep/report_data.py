"""What a report shows, collected from the folders of the jobs. Neither torch nor Lightning is imported."""

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from gradpath.config.saved_yaml import read_yaml
from gradpath.errors import ConfigError
from gradpath.files import CONFIG, OVERRIDES
from gradpath.saved_json import number
from gradpath.sweep.again import alone, made_again
from gradpath.sweep.code import target_packages
from gradpath.sweep.curves import LOSSES, Curve, epochs, kept_epochs, kept_layers, thinned
from gradpath.sweep.outcome import Outcome, objective, read_outcome
from gradpath.sweep.plan import Planned, read_plan
from gradpath.sweep.rows import Row, row
from gradpath.sweep.searched import column
from gradpath.sweep.typed_values import briefly

# Points of a curve and of a profile. A report of many runs has fewer for each.
MOST, FEWEST, IN_ALL = 60, 20, 12_000
DIGITS = 4
# Characters of a text, and findings of a run.
LONGEST, FINDINGS = 1_000, 20
ENVIRONMENT = ("gradpath", "torch", "lightning", "python", "device", "gpu", "threads", "git_commit", "git_clean")
# Whose parts every configuration may name.
OURS = ("gradpath", "hydra_plugins", "torch")
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


class Draft:
    """A report while jobs are read for it, one result at a time: those of a thousand jobs take a hundred megabytes.

    Args:
        folder: that holds the jobs' folders.
        jobs: how many will be added.
        common: what all of them were given. It is not repeated with each.
    """

    def __init__(self, folder: Path, jobs: int, common: Sequence[str] = ()) -> None:
        self.folder, self.common = folder, common
        self._points = min(MOST, max(FEWEST, IN_ALL // max(1, jobs)))
        self._findings, self._layers = Table(), Table()
        self._environment = {name: Table() for name in ENVIRONMENT}
        self._runs: list[Content] = []
        self._numbers: list[dict[str, Any]] = []
        self._curves: list[Mapping[str, Curve]] = []
        # Of each job, in all their digits, what a search looked at.
        self.aims: list[list[float]] = []

    def add(self, job: Planned, outcome: Outcome | None, own: Row, objectives: Iterable[str] = ()) -> None:
        """Takes what the report shows of a job.

        Args:
            own: what `row` makes of the outcome.
            objectives: of a search: numbers of the result.
        """
        result: Mapping[str, Any] = outcome.result if outcome else {}
        _see(self._environment, _mapping(result.get("environment")))
        self._curves.append(epochs(self.folder / job.name))
        exact = {column(key): objective(outcome, key) for key in objectives}
        self.aims.append([*exact.values()])
        aims = {name: short(value) for name, value in exact.items()}
        self._numbers.append(aims | _numbers(result) | {"seconds": short(own["seconds"])})
        self._runs.append(
            {
                **{name: own[name] for name in ("number", "job", "status")},
                "error": cut(own["error"]),
                "traceback": cut(result.get("traceback"), from_end=True),
                "overrides": [text for text in job.overrides if text not in self.common],
                "verdict": _verdict(_mapping(result.get("verdict")), self._findings),
                **_profiles(result, self._points, self._layers),
            }
        )

    def content(self, keys: Sequence[str], values: Sequence[Mapping[str, str | None]]) -> Content:
        """The report of the jobs that were added.

        Args:
            keys: in which they differ.
            values: of each job.
        """
        kept, grids = kept_epochs(self._curves, self._points), Table()
        texts = {key: briefly(value[key] for value in values) for key in keys}
        columns = list(dict.fromkeys(name for numbers in self._numbers for name in numbers))
        runs = [
            {
                **run,
                "choices": [cut(texts[key].get(value[key])) for key in keys],
                "curves": _curves(curve, kept, grids),
                "values": [numbers.get(name) for name in columns],
            }
            for run, value, curve, numbers in zip(self._runs, values, self._curves, self._numbers, strict=True)
        ]
        tables = {"findings": self._findings.items, "grids": grids.items, "layers": self._layers.items}
        made = {name: table.items for name, table in self._environment.items()}
        return {"keys": [*keys], "columns": columns, "environment": made, "runs": runs, **tables}


def run_content(folder: Path) -> Content:
    """The content of the report of one run. See `static/data.js` for its shape."""
    outcome = read_outcome(folder.parent, folder.name)
    job = Planned(0, folder.name, _overrides(folder), {}, "", "")
    command = str(outcome.result.get("command", "")) if outcome else ""
    # A job of a sweep was made by the sweep's command; alone it is made by its overrides.
    if not command or {"-m", "--multirun"} & {*command.split()}:
        command = alone(command, job.overrides)
    command = made_again(command, _own_packages(folder))
    draft = Draft(folder.parent, 1)
    draft.add(job, outcome, row(job, outcome))
    head = {
        "kind": "run",
        "name": folder.name,
        "commands": [command],
        "common": [],
        "notes": [],
        "search": None,
        "front": [],
        "versions": None,
    }
    return head | draft.content([], [{}])


def _own_packages(folder: Path) -> list[str]:
    """The packages of the user's own that a run's configuration names."""
    try:
        named = target_packages(read_yaml(folder / CONFIG))
    except ConfigError:
        return []
    return sorted(name for name in named if name.isidentifier() and name not in OURS)


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
