"""How a `result.json` says that its run ended, in the word that terminals, tables and pages share."""

from collections.abc import Mapping
from typing import Any

STATUSES = ("ok", "diverged", "pruned", "failed")
# How a job is said to have ended whose process was ended from outside. It goes on when its sweep does.
OUTSIDE = "ended from outside"
# The runs of which no number counts, as they are listed: none of them has come to a good end.
LOST = ("diverged", "pruned", "failed", OUTSIDE, "missing")


def ended(result: Mapping[str, Any]) -> str | None:
    """One of STATUSES, or OUTSIDE; None if the result does not say how its run ended."""
    status = result.get("status")
    if status not in STATUSES:
        return None
    return OUTSIDE if result.get("interrupted") else str(status)
