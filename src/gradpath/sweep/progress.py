"""How a sweep goes: one live table in a terminal, a line per finished job in a pipe."""

import math
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gradpath.columns import width
from gradpath.ended import OUTSIDE
from gradpath.files import CURVES
from gradpath.saved_json import number
from gradpath.sweep.outcome import Outcome, objective
from gradpath.sweep.plan import Planned
from gradpath.sweep.rows import row
from gradpath.sweep.searched import column

# What a finished job is said to have reached, and the best job is chosen by: the first that a job has. True: more is better.
# The test set chooses nothing where there is validation.
MEASURES = {"val/accuracy": True, "val/loss": False, "test/accuracy": True, "test/loss": False}
TAIL = 4096


class Progress:
    """Shows a sweep while it goes on.

    Args:
        total: the jobs of the sweep.
        done: how many had ended before, by status.
        places: jobs at a time.
        goals: what a search looks at -> minimize or maximize; none: the measures of a grid.
    """

    def __init__(
        self, folder: Path, total: int, done: Mapping[str, int], places: int, goals: Mapping[str, str] | None = None
    ) -> None:
        self.goals = goals or {}
        self.folder, self.total, self.places = folder, total, places
        self.counts = Counter(done)
        self.running: dict[str, float] = {}
        self._here, self._begun = 0, time.monotonic()
        # How good the best job is, and what is said of it.
        self._best: tuple[tuple[int, float], str] = ((-len(MEASURES), 0.0), "")
        self._live: Live | None = None
        columns = width()
        if columns is not None:
            self._live = Live(console=Console(width=columns), auto_refresh=False, transient=True)
            self._live.start()

    def began(self, job: Planned, at: float) -> None:
        """A job has begun.

        Args:
            at: when, in seconds of `time.monotonic()`.
        """
        self.running[job.name] = at
        self.refresh()

    def ended(self, job: Planned, outcome: Outcome | None, here: bool = True) -> None:
        """A job has come to its end, here or in another process."""
        begun = self.running.pop(job.name, None)
        if outcome is None:
            return
        self.counts[outcome.word] += 1
        self._here += here
        found = row(job, outcome)
        reached = self._reached(found, outcome) if outcome.status == "ok" else {}
        said = ", ".join(f"{name} {value:.4g}" for name, value in reached.items())
        # A job that diverged may have reached more before it did. Of several objectives none alone says what is best.
        if len(reached) == 1 and len(self.goals) < 2:
            [(name, value)] = reached.items()
            if math.isfinite(value):
                self._best = max(self._best, (self._merit(name, value), f"{said} of {job.name}"), key=lambda best: best[0])
        if self._live is None or outcome.status == "failed":
            seconds = f"{time.monotonic() - begun:.1f} s" if begun is not None else ""
            said = f"{said}  {found['class'] or ''}" if reached else outcome.error or ""
            line = f"{sum(self.counts.values())}/{self.total}  {job.name}  {outcome.word}  {said}  {seconds}".rstrip()
            self.say(line)
        self.refresh()

    def say(self, line: str) -> None:
        if self._live is None:
            print(line, flush=True)
        else:
            self._live.console.print(Text(line), soft_wrap=True)

    def refresh(self) -> None:
        if self._live is not None:
            self._live.update(self._shown(), refresh=True)

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _reached(self, found: Mapping[str, Any], outcome: Outcome) -> dict[str, float]:
        """What a search looks at; of a grid the first measure that a job has."""
        if self.goals:
            return {column(key): objective(outcome, key) for key in self.goals}
        for name in MEASURES:
            value = number(found.get(name))
            if isinstance(value, int | float):
                return {name: float(value)}
        return {}

    def _merit(self, name: str, value: float) -> tuple[int, float]:
        """More for a better job. One that has an earlier measure is better than one that has not."""
        if self.goals:
            return 0, value if "maximize" in self.goals.values() else -value
        return -[*MEASURES].index(name), value if MEASURES[name] else -value

    def _shown(self) -> Group:
        """The counts, the time left, the best, and a line per running job."""
        done = sum(self.counts.values())
        failed = self.counts["failed"]
        head = f"{done} of {self.total} done  {len(self.running)} running  {failed} failed"
        for status in (OUTSIDE, "diverged", "pruned"):
            if self.counts[status]:
                head += f"  {self.counts[status]} {status}"
        left = (self.total - done) * (time.monotonic() - self._begun) / self._here if self._here else None
        lines = [Text(head + (f"  about {_clock(left)} left" if left is not None else ""), "bold")]
        if self._best[1]:
            lines.append(Text(f"best so far: {self._best[1]}"))
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("running", "epoch", "loss", "accuracy", "time"):
            table.add_column(name, justify="left" if name == "running" else "right", no_wrap=True)
        for name, begun in self.running.items():
            last = last_row(self.folder / name / CURVES)
            table.add_row(
                name, last.get("epoch", ""), *(_short(last, key) for key in ("loss", "accuracy")),
                _clock(time.monotonic() - begun),
            )  # fmt: skip
        return Group(*lines, *([table] if self.running else []))


def last_row(path: Path) -> dict[str, str]:
    """The last values that a running job has logged, from the end of its metrics.csv; nothing before the first."""
    try:
        with path.open("rb") as file:
            names = file.readline().decode().rstrip("\r\n").split(",")
            file.seek(max(file.tell(), path.stat().st_size - TAIL))
            # The first of the lines may begin in the middle, the last may be half written.
            lines = file.read().decode(errors="ignore").split("\n")[:-1]
    except OSError:
        return {}
    found: dict[str, str] = {}
    for line in lines:
        cells = line.rstrip("\r").split(",")
        if len(cells) == len(names):
            found |= {name: cell for name, cell in zip(names, cells, strict=True) if cell}
    return found


def _short(last: Mapping[str, str], key: str) -> str:
    """Validation's value if there is one, else training's."""
    for name in (f"val/{key}", f"train/{key}"):
        if name in last:
            return f"{float(last[name]):.4g}"
    return ""


def _clock(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}" if whole >= 3600 else f"{whole // 60}:{whole % 60:02}"
