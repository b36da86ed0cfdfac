"""Shows the claims that were computed as a table, and saves all their numbers as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from math import isfinite
from pathlib import Path

from gradpath.columns import wrapped
from gradpath.config.command_line import command_line
from gradpath.files import write_text
from gradpath.run.result import environment
from gradpath.run.terminal import show_table
from gradpath.studies.papers.claim import Check, Claim

HEADER = ("paper", "ours", "within", "")
Found = Sequence[tuple[Claim, float]]


def show(found: Found, in_full: bool) -> None:
    """Shows a row per claim with its worst number, or every number with `in_full`. Claims that fail are shown in full."""
    if in_full:
        for claim, _ in found:
            _show_claim(claim)
        return
    rows = [(f"{claim.number:>2} {claim.paper}: {claim.worst.setting}", *_cells(claim.worst)) for claim, _ in found]
    show_table(("claim: its number nearest to failing", *HEADER), rows)
    for claim, _ in found:
        if not claim.passed:
            _show_claim(claim)


def summary(found: Found, seconds: float) -> str:
    """A line such as `20 of 20 claims hold, 98 of 98 numbers; it took 83 s`."""
    claims, numbers = [claim.passed for claim, _ in found], [check.passed for claim, _ in found for check in claim.checks]
    return f"{sum(claims)} of {len(claims)} claims hold, {sum(numbers)} of {len(numbers)} numbers; it took {seconds:.0f} s"


def save(path: Path, found: Found, seconds: float) -> None:
    """Writes every number of every claim to a JSON file. Raises OSError if it cannot be written."""
    content = {
        "passed": all(claim.passed for claim, _ in found),
        "claims": [
            asdict(claim) | {"passed": claim.passed, "seconds": round(s, 2), "checks": _rows(claim)} for claim, s in found
        ],
        "seconds": round(seconds, 2),
        "environment": environment("cpu"),
        "command": command_line(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def _rows(claim: Claim) -> list[dict[str, object]]:
    """The checks as rows. JSON has no NaN, so a number that is not finite becomes a word."""
    return [
        asdict(check) | {"passed": check.passed} | ({} if isfinite(check.measured) else {"measured": str(check.measured)})
        for check in claim.checks
    ]


def _show_claim(claim: Claim) -> None:
    print("", *wrapped(f"claim {claim.number}, {claim.paper}: {claim.statement}", further="  "), sep="\n")
    show_table(("", *HEADER), [(check.setting, *_cells(check)) for check in claim.checks])


def _cells(check: Check) -> tuple[str, ...]:
    sign = {"equal": "", "at least": "> ", "at most": "< "}[check.kind]
    within = check.within if check.kind == "equal" else ""
    return sign + _number(check.expected), _number(check.measured), within, "ok" if check.passed else "NO"


def _number(value: float) -> str:
    """The number with six digits, because tolerances go down to 1e-6 of numbers near 1. Small numbers have two digits."""
    return f"{value:.6g}" if value == 0 or abs(value) >= 1e-3 else f"{value:.1e}"
