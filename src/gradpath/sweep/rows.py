"""A sweep as a table: one row per job, read from the jobs' folders."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gradpath.saved_json import number
from gradpath.sweep.outcome import Outcome, read_outcome
from gradpath.sweep.plan import Plan, Planned

Row = dict[str, Any]
# What stands for the value of a key that a run was not given, wherever people read it.
UNSET = "unset"


def rows(folder: Path, plan: Plan) -> Iterator[Row]:
    """One row per job of a sweep, in their order.

    A row has `number`, `job` (the folder's name), `status` (ok, diverged, pruned, failed or missing), `error`; what differs
    between the jobs, by key; `seed`; the metrics; `class`, `ratio`, `rate_per_layer` and `findings` of the verdict;
    `seconds`.
    """
    keys = varied_keys(plan.jobs)
    for job in plan.jobs:
        yield row(job, read_outcome(folder, job.name), keys)


def varied_keys(jobs: Sequence[Planned]) -> list[str]:
    """The keys that differ between the jobs, in the order in which they were typed."""
    seen: dict[str, set[str]] = {}
    for job in jobs:
        for key, value in job.varied.items():
            seen.setdefault(key, set()).add(value)
    partly = {key for key in seen if any(key not in job.varied for job in jobs)}
    return [key for key, values in seen.items() if len(values) > 1 or key in partly]


def row(job: Planned, outcome: Outcome | None, keys: Sequence[str]) -> Row:
    result: Mapping[str, Any] = outcome.result if outcome else {}
    verdict = _mapping(result.get("verdict"))
    found: Row = {"number": job.number, "job": job.name, "status": outcome.status if outcome else "missing"}
    found["error"] = outcome.error if outcome else None
    found |= {key: job.varied.get(key) for key in keys}
    if "seed" not in keys:
        found["seed"] = result.get("seed")
    # No metric takes the place of what stands there already.
    found |= {name: number(value) for name, value in _mapping(result.get("metrics")).items() if name not in found}
    found |= {name: number(verdict.get(name)) for name in ("class", "ratio", "rate_per_layer")}
    findings = verdict.get("findings")
    kinds = [str(item.get("kind")) for item in findings if isinstance(item, Mapping)] if isinstance(findings, list) else []
    found["findings"] = ", ".join(kinds) if verdict else None
    seconds = [number(value) for value in _mapping(result.get("durations")).values()]
    found["seconds"] = sum(value for value in seconds if isinstance(value, float)) if seconds else None
    return found


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
