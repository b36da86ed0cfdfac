"""What a search looked at, and from where it drew its values, told from its plan alone."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from gradpath.sweep.plan import Plan

OBJECTIVE, DIRECTION = "sweep.objective=", "hydra.sweeper.direction="


def goals(plan: Plan) -> dict[str, str]:
    """The numbers of `result.json` that a search looks at -> minimize or maximize. A grid has none."""
    typed = {
        sign: text.removeprefix(sign)
        for text in plan.search or ()
        for sign in (OBJECTIVE, DIRECTION)
        if text.startswith(sign)
    }
    keys, directions = (typed.get(sign, "").split(",") for sign in (OBJECTIVE, DIRECTION))
    return dict(zip(keys, directions, strict=False)) if typed else {}


def column(key: str) -> str:
    """What an objective is called in tables: a metric by its own name."""
    return key.removeprefix("metrics.")


def row_goals(plan: Plan) -> dict[str, str]:
    """The columns of a row that a search looks at -> minimize or maximize; none for a grid."""
    return {column(key).removeprefix("verdict."): direction for key, direction in goals(plan).items()}


def searched(plan: Plan) -> dict[str, Any] | None:
    """What a report shows of a search; None of a grid."""
    if plan.search is None:
        return None
    typed = {key.lstrip("+"): value for key, _, value in (text.partition("=") for text in plan.search)}
    logs = [key for key, value in typed.items() if value.startswith("tag(log,")]
    drawn = [key for key, value in typed.items() if "interval(" in value or "range(" in value]
    found = [{"column": column(key), "direction": direction} for key, direction in goals(plan).items()]
    return {"objectives": found, "log": logs, "drawn": drawn}


def front(values: Sequence[Sequence[float]], directions: Iterable[str]) -> list[int]:
    """The places of those trials that no other one beats: it is as good in all objectives, and better in one.

    Args:
        values: of each trial, one per objective; a trial that lacks one (NaN) is none.
        directions: of the objectives: minimize or maximize.
    """
    signs = [-1 if direction == "maximize" else 1 for direction in directions]
    costs = {place: [sign * value for sign, value in zip(signs, row, strict=True)] for place, row in enumerate(values)}
    known = {place: cost for place, cost in costs.items() if not any(map(math.isnan, cost))}
    return [place for place, cost in known.items() if not any(_beats(other, cost) for other in known.values())]


def _beats(one: Sequence[float], other: Sequence[float]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
