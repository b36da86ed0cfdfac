"""What came out of a job, as a row of a table."""

from collections.abc import Mapping
from typing import Any

from gradpath.saved_json import number
from gradpath.sweep.outcome import Outcome
from gradpath.sweep.plan import Planned

Row = dict[str, Any]
# What stands for the value of a key that a run was not given, wherever people read it.
UNSET = "unset"


def row(job: Planned, outcome: Outcome | None) -> Row:
    """What came out of a job, without what it was given.

    It has `number`, `job` (the folder's name), `status` (a word of `gradpath.ended`, or missing), `error`; `seed`; the
    metrics; `class`, `ratio`, `rate_per_layer` and `findings` of the verdict; `seconds`.
    """
    result: Mapping[str, Any] = outcome.result if outcome else {}
    verdict = _mapping(result.get("verdict"))
    found: Row = {"number": job.number, "job": job.name, "status": outcome.word if outcome else "missing"}
    found["error"] = outcome.error if outcome else None
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
