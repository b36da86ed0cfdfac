"""What stands at the end of a sweep: its best run, its report, and the command that compares its runs."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from gradpath.columns import wrapped
from gradpath.ended import OUTSIDE
from gradpath.errors import ConfigError
from gradpath.files import REPORT, relative
from gradpath.sweep.again import SWEEPS
from gradpath.sweep.comparison import cells, chosen_metric, lower_is_better
from gradpath.sweep.given import Run
from gradpath.sweep.reading import Reading


def pointers(found: Reading) -> Iterator[str]:
    """Lines: the best run so far of a grid, and where to look further. A search names its best trial itself."""
    best = _best(found.runs) if found.plan.search is None else None
    if best:
        yield from wrapped(best, further="  ")
    yield f"report: {relative(found.folder / REPORT)}"
    if any(run.row["status"] == "ok" for run in found.runs):
        yield f"compare: {_to_compare(found.folder, found.runs)}"


def _best(runs: Sequence[Run]) -> str | None:
    """The run of the best metric, the one that `compare.py` shows; the first of several. None if no run has one."""
    try:
        metric = chosen_metric(runs, None)
    except ConfigError:
        return None
    known = [(cell.value, cell.name) for cell in cells(runs, [{}] * len(runs), metric) if cell.value is not None]
    if not known:
        return None
    sign = 1 if lower_is_better(metric) else -1
    value, name = min(known, key=lambda one: sign * one[0])
    more = sum(other == value for other, _ in known) - 1
    return f"best: {name}, {metric} {value:.4g}" + (f"; {more} as good" if more else "")


def _to_compare(folder: Path, runs: Sequence[Run]) -> str:
    place = folder.name if folder.resolve().parent == SWEEPS.resolve() else relative(folder)
    partial = any(run.row["status"] in ("missing", "failed", OUTSIDE) for run in runs)
    return shlex.join(["python", "scripts/compare.py", place, *["--partial"] * partial])
