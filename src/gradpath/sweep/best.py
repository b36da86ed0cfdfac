"""What stands at the end of a sweep: its best run, its report, and the command that compares its runs."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from gradpath.columns import wrapped
from gradpath.ended import OUTSIDE
from gradpath.files import REPORT, relative
from gradpath.sweep.again import SWEEPS
from gradpath.sweep.comparison import cells, chosen_metric, is_number, lower_is_better, metrics
from gradpath.sweep.given import Run
from gradpath.sweep.progress import MEASURES
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
    """The best run by the first of MEASURES that a run has, and its metric in `compare.py`; the first of several.

    None if no run has one.
    """
    metric = next((name for name in MEASURES if name in metrics(runs)), None)
    known = [cell for cell in cells(runs, [{}] * len(runs), metric) if cell.value is not None] if metric else []
    if not metric or not known:
        return None
    sign = 1 if lower_is_better(metric) else -1
    best = min(known, key=lambda cell: sign * cell.value)  # type: ignore[operator]
    more = sum(cell.value == best.value for cell in known) - 1
    shown, there = chosen_metric(runs, None), f"{metric} {best.value:.4g}"
    if shown != metric and is_number(best.run.row.get(shown)):
        there += f" ({shown} {best.run.row[shown]:.4g})"
    return f"best: {best.name}, {there}" + (f"; {more} as good" if more else "")


def _to_compare(folder: Path, runs: Sequence[Run]) -> str:
    place = folder.name if folder.resolve().parent == SWEEPS.resolve() else relative(folder)
    partial = any(run.row["status"] in ("missing", "failed", OUTSIDE) for run in runs)
    return shlex.join(["python", "scripts/compare.py", place, *["--partial"] * partial])
