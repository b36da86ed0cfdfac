"""`summary.csv` and `summary.md`: all jobs of a sweep in one table, and its report; brought up to date as jobs end."""

import csv
import io
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gradpath.errors import counted
from gradpath.files import SUMMARY, write_text
from gradpath.sweep.outcome import STATUSES
from gradpath.sweep.plan import Plan
from gradpath.sweep.report import write_report
from gradpath.sweep.rows import UNSET, Row, rows, varied_keys

# The summary and the report of a thousand jobs take seconds. They are written again after this many times as long.
REST = 20
SHOWN = ("test/accuracy", "test/loss", "val/accuracy", "val/loss", "class", "ratio", "seconds")


class Summary:
    """Writes the summary and the report of a sweep, at most a twentieth of the time.

    Args:
        folder: the sweep's.
    """

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder, self.plan = folder, plan
        self._next = 0.0

    def update(self) -> None:
        """Writes them if it is time to. Raises OSError as `write_summary`."""
        begun = time.monotonic()
        if begun >= self._next:
            write_summary(self.folder, self.plan)
            self._next = time.monotonic() + REST * (time.monotonic() - begun)


def write_summary(folder: Path, plan: Plan) -> list[Row]:
    """Reads all jobs and writes the summary and the report. Returns the rows of the summary.

    Raises:
        OSError: the folder is read-only or full.
    """
    found = [*rows(folder, plan)]
    write_text(folder / f"{SUMMARY}.csv", as_csv(found))
    write_text(folder / f"{SUMMARY}.md", as_markdown(plan, found))
    write_report(folder, plan, found)
    return found


def columns(found: Sequence[Row]) -> list[str]:
    """The columns of all rows, each once."""
    return list(dict.fromkeys(name for row in found for name in row))


def as_csv(found: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns(found), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(found)
    return text.getvalue()


def as_markdown(plan: Plan, found: Sequence[Row]) -> str:
    keys = varied_keys(plan.jobs)
    shown = [name for name in SHOWN if any(row.get(name) is not None for row in found)]
    counts = Counter(row["status"] for row in found)
    head = ["job", *keys, "status", *shown]
    lines = ["# Sweep", "", f"    {plan.command}", "", f"{counted(len(found), 'job')}: {said(counts)}.", ""]
    lines += [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    given = [row | {key: UNSET for key in keys if row[key] is None} for row in found]
    lines += [f"| {' | '.join(cell(row.get(name)) for name in head)} |" for row in given]
    failed = [row for row in found if row["status"] in ("failed", "diverged")]
    if failed:
        lines += ["", "## Failed and diverged", "", *(f"- {row['job']}: {cell(row['error'])}" for row in failed)]
    return "\n".join(lines) + "\n"


def said(counts: Counter[str]) -> str:
    """`57 ok, 2 diverged, 1 failed`."""
    return ", ".join(f"{counts[status]} {status}" for status in (*STATUSES, "missing") if counts[status])


def cell(value: Any) -> str:
    """A value as a cell of a Markdown table."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    return " ".join(str(value).split()).replace("|", "\\|").replace("<", "&lt;")
