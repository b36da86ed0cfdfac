"""Runs in groups: those that differ in nothing but the seed, or in nothing that was asked for, with mean and deviation."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from typing import Any, TypeGuard

import numpy as np

from gradpath.ended import LOST
from gradpath.errors import ConfigError, alternatives, nearest
from gradpath.sweep.given import SEED, Run, Values, in_order
from gradpath.sweep.rows import UNSET

# The metric that is compared unless another is asked for: the first that a run has.
USUAL = ("test/accuracy", "test/loss", "val/accuracy", "val/loss", "train/accuracy", "train/loss")
# These columns of a row are numbers and no results.
NO_METRICS = ("number", SEED)
STD, N, SECONDS = "std", "n", "seconds"


@dataclass(frozen=True)
class Cell:
    """A run, the values that it was given, and its metric.

    value: of the metric; None where it does not count.
    why: why it does not.
    """

    run: Run
    given: Values
    value: float | None
    why: str = ""

    @property
    def name(self) -> str:
        return str(self.run.row["job"])

    @property
    def status(self) -> str:
        return str(self.run.row["status"])


@dataclass(frozen=True)
class Group:
    """Runs that agree in `values`."""

    values: Values
    cells: Sequence[Cell]

    @cached_property
    def numbers(self) -> list[float]:
        """The metric of those runs that have one."""
        return [cell.value for cell in self.cells if cell.value is not None]

    @property
    def n(self) -> int:
        return len(self.numbers)

    @cached_property
    def mean(self) -> float | None:
        with np.errstate(all="ignore"):
            return float(np.mean(self.numbers)) if self.numbers else None

    @cached_property
    def std(self) -> float | None:
        """The standard deviation, with n - 1; None for a single run."""
        with np.errstate(all="ignore"):
            return float(np.std(self.numbers, ddof=1)) if self.n > 1 else None

    def mean_of(self, name: str) -> float | None:
        """The mean of another number of those runs that have it."""
        values = [value for cell in self.cells if (value := _measured(cell.run, name)[0]) is not None]
        with np.errstate(all="ignore"):
            return float(np.mean(values)) if values else None

    def count(self, status: str) -> int:
        return sum(cell.status == status for cell in self.cells)

    @cached_property
    def verdicts(self) -> Counter[str]:
        """How often each class of the verdict was found."""
        classes = (cell.run.row.get("class") for cell in self.cells)
        return Counter(str(name) for name in classes if name is not None)

    @cached_property
    def seconds(self) -> float:
        """What all its runs took together."""
        return float(sum(cell.run.row.get(SECONDS) or 0 for cell in self.cells))

    @property
    def label(self) -> str:
        return label(self.values)


def label(values: Mapping[str, str | None]) -> str:
    """`activation=relu, init=he_normal`."""
    return ", ".join(f"{key}={shown(value)}" for key, value in values.items()) or "all runs"


def shown(value: str | None) -> str:
    return UNSET if value is None else value


def metrics(runs: Sequence[Run]) -> list[str]:
    """The columns that hold numbers, each once."""
    names = dict.fromkeys(name for run in runs for name, value in run.row.items() if is_number(value))
    return [name for name in names if name not in NO_METRICS]


def is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def chosen_metric(runs: Sequence[Run], asked: str | None) -> str:
    """The metric to compare. Raises ConfigError if no run has it."""
    there = metrics(runs)
    if asked is None:
        # What a search has looked at is what its trials are compared by.
        goals = dict.fromkeys(name for run in runs for name in run.goals)
        found = next((name for name in (*goals, *USUAL) if name in there), None)
        if found is None:
            raise ConfigError(_none_usual(there))
        return found
    if not there:
        raise ConfigError(f"--metric {asked}: {_none_usual(there)}")
    if asked not in there:
        raise ConfigError(f"--metric {asked}: must be {alternatives(there)}.{nearest(asked, there)}")
    return asked


def _none_usual(there: Sequence[str]) -> str:
    if not there:
        return "no run has a result yet, so there is nothing to compare."
    return f"no run has a loss or an accuracy; write --metric with {alternatives(there)}."


def cells(runs: Sequence[Run], values: Sequence[Values], metric: str) -> list[Cell]:
    """The runs with their metric, which counts for a run that has come to its end without NaN."""
    return [Cell(run, value, *_measured(run, metric)) for run, value in zip(runs, values, strict=True)]


def _measured(run: Run, metric: str) -> tuple[float | None, str]:
    if run.row["status"] != "ok":
        return None, str(run.row["status"])
    value = run.row.get(metric)
    if not is_number(value):
        return None, f"no {metric}"
    return (float(value), "") if isfinite(value) else (None, f"{metric} is {value}")


def chosen_keys(asked: Sequence[str] | None, keys: Sequence[str], there: Sequence[str]) -> list[str]:
    """The keys that make the groups: those that were asked for, else all that differ but the seed.

    Args:
        keys: in which the runs differ.
        there: all keys that have values.

    Raises:
        ConfigError: the runs do not differ in a key.
    """
    if asked is None:
        return [key for key in keys if key != SEED]
    for key in asked:
        if key not in there:
            differ = f"must be keys in which the runs differ: {', '.join(keys)}" if keys else "the runs differ in no key"
            raise ConfigError(f"--by {','.join(asked)}: {differ}.{nearest(key, there)}")
    return [*dict.fromkeys(asked)]


def groups(found: Sequence[Cell], by: Sequence[str]) -> list[Group]:
    """The groups, in the order of their first runs."""
    collected: dict[tuple[str | None, ...], list[Cell]] = {}
    for cell in found:
        collected.setdefault(tuple(cell.given[key] for key in by), []).append(cell)
    return [Group(dict(zip(by, place, strict=True)), inside) for place, inside in collected.items()]


def lower_is_better(metric: str, runs: Iterable[Run] = ()) -> bool:
    """Whether the smallest value of a metric comes first: of losses, errors and times, or as a search was told."""
    told = {run.goals[metric] for run in runs if metric in run.goals}
    if len(told) == 1:
        return told == {"minimize"}
    return metric.rpartition("/")[2] in ("loss", "mae", SECONDS) or metric.endswith("epoch")


def ordered(found: Sequence[Group], by: Sequence[str], metric: str, key: str | None) -> list[Group]:
    """The groups, sorted.

    Args:
        key: a key of the groups (by size if its values are all numbers), or a column of the table; None is the metric, the
            best first.

    Raises:
        ConfigError: there is no such column.
    """
    places = {name: in_order(group.values[name] for group in found) for name in by}
    # Where the rest is equal, the keys decide.
    by_keys = sorted(found, key=lambda group: [places[name][group.values[name]] for name in by])
    if key is not None and key in by:
        return sorted(by_keys, key=lambda group: places[key][group.values[key]])
    sign = 1 if lower_is_better(metric, [cell.run for group in found for cell in group.cells]) else -1
    columns: dict[str, Callable[[Group], float | None]] = {
        metric: lambda group: None if group.mean is None else sign * group.mean,
        STD: lambda group: group.std,
        N: lambda group: -group.n,
        **{status: lambda group, status=status: -group.count(status) for status in LOST},  # type: ignore[misc]
        SECONDS: lambda group: group.seconds,
    }
    if key is not None and key not in columns:
        allowed = [*by, *columns]
        raise ConfigError(f"--sort {key}: must be {alternatives(allowed)}.{nearest(key, allowed)}")
    column = columns[key or metric]
    return sorted(by_keys, key=lambda group: ((value := column(group)) is None, value or 0))
