"""`summary.csv` and `summary.md`: all jobs of a sweep in one table, and its report; brought up to date as jobs end."""

import csv
import io
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from gradpath.ended import OUTSIDE, STATUSES
from gradpath.errors import counted
from gradpath.files import SUMMARY, write_text
from gradpath.sweep.plan import Plan
from gradpath.sweep.reading import Reading, read_sweep
from gradpath.sweep.report import write_report
from gradpath.sweep.rows import UNSET, Row
from gradpath.sweep.typed_values import briefly

# The summary and the report of a thousand jobs take seconds. They are written again after this many times as long, and after
# so many seconds at least.
REST, FLOOR = 20, 10
# Jobs without an outcome: of another process, still to be begun by one, or of nobody.
UNFINISHED = ("at work", "waiting", "missing")
SHOWN = ("test/accuracy", "test/loss", "val/accuracy", "val/loss", "class", "ratio", "seconds")


class Summary:
    """Writes the summary and the report of a sweep while it goes on: when a job has ended, at most a twentieth of the time.

    Args:
        folder: the sweep's.
    """

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder, self.plan = folder, plan
        # Whether a job has ended since they were written.
        self.old = False
        self._next = 0.0

    def update(self) -> None:
        """Writes them if it is time to. What cannot be written now is written later."""
        begun = time.monotonic()
        if self.old and begun >= self._next:
            with suppress(OSError):
                write_summary(self.folder, self.plan)
                self.old = False
            self._next = time.monotonic() + max(FLOOR, REST * (time.monotonic() - begun))


def write_summary(folder: Path, plan: Plan) -> Reading:
    """Reads all jobs once, and writes the summary and the report of it. Returns what was read.

    Raises:
        OSError: the folder is read-only or full.
    """
    found = read_sweep(folder, plan)
    write_text(folder / f"{SUMMARY}.csv", as_csv(found.rows))
    write_text(folder / f"{SUMMARY}.md", as_markdown(found))
    write_report(found)
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


def as_markdown(found: Reading) -> str:
    rows, keys = found.rows, found.was.keys
    shown = [name for name in SHOWN if any(row.get(name) is not None for row in rows)]
    counts = Counter(row["status"] for row in rows)
    head = ["job", *keys, "status", *shown]
    lines = ["# Sweep", "", *(f"    {command}" for command in found.commands), ""]
    lines += [
        f"{counted(len(rows), 'job')}: {said(counts)}.",
        "",
        *(part for note in found.notes for part in (cell(note), "")),
    ]
    lines += [f"| {' | '.join(map(cell, head))} |", "|" + "---|" * len(head)]
    texts = {key: briefly(row[key] for row in rows) for key in keys}
    values = [row | {key: texts[key].get(row[key], UNSET) for key in keys} for row in rows]
    lines += [f"| {' | '.join(cell(row.get(name)) for name in head)} |" for row in values]
    failed = [row for row in rows if row["status"] in ("failed", OUTSIDE, "diverged")]
    if failed:
        lines += ["", "## Failed and diverged", "", *(f"- {row['job']}: {cell(row['error'])}" for row in failed)]
    return "\n".join(lines) + "\n"


def said(counts: Counter[str]) -> str:
    """`57 ok, 2 diverged, 1 failed`."""
    return ", ".join(f"{counts[status]} {status}" for status in (*STATUSES, OUTSIDE, *UNFINISHED) if counts[status])


def cell(value: Any) -> str:
    """A value as a cell of a Markdown table."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    return " ".join(str(value).split()).replace("|", "\\|").replace("<", "&lt;")
