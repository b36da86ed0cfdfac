"""From the sweeps and runs that were typed to what came out of them."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from gradpath.ended import OUTSIDE
from gradpath.errors import ConfigError, counted, nearest
from gradpath.files import RESULT, SWEEP, relative
from gradpath.locks import holder, is_held
from gradpath.sweep.again import RETRY, SWEEPS, packages_of, places, to_continue
from gradpath.sweep.given import Run
from gradpath.sweep.loading import single_run, sweep_runs
from gradpath.sweep.plan import Plan, read_plan

# So many names stand in an error message.
NAMED = 8
# How jobs have ended without which a sweep is not complete.
UNDONE = ("missing", "failed", OUTSIDE)


def collect(typed: Sequence[str]) -> tuple[list[Run], str | None]:
    """All runs of the sweeps and folders that were typed, each once; and what the first incomplete sweep lacks.

    Raises:
        ConfigError: there is no such sweep or run; or a file is damaged.
    """
    if not typed:
        raise ConfigError(f"no sweep given.{_known()}")
    runs: dict[Path, Run] = {}
    lacking: str | None = None
    for folder in dict.fromkeys(find(text) for text in typed):
        plan = read_plan(folder)
        found = [single_run(folder)] if plan is None else sweep_runs(folder, plan)
        lacking = lacking or _lacking(found, folder, plan)
        for run in found:
            runs.setdefault(run.folder.resolve(), run)
    return [*runs.values()], lacking


def find(text: str, signs: Sequence[str] = (SWEEP, RESULT)) -> Path:
    """The folder of a sweep or of a run, by its path or by the sweep's name.

    Args:
        signs: the files by which it is known. Whatever has taken the place of one is found to be damaged later.

    Raises:
        ConfigError: there is none.
    """
    try:
        found = places(text) if text.strip() else []
        for place in found:
            if any((place / name).exists() or (place / name).is_symlink() for name in signs):
                return Path(os.path.abspath(place))  # noqa: PTH100 - without the .. that absolute() leaves
        holds = next((place for place in found if any(place.glob(f"*/{RESULT}"))), None)
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(f"{text}: {getattr(error, 'strerror', None) or error}.") from None
    if holds:
        raise ConfigError(f"{text}: holds runs but no {SWEEP}; name the runs, as {relative(holds)}/* does.")
    raise ConfigError(f"{text}: no sweep and no run (neither {SWEEP} nor {RESULT} is there).{_meant(text)}")


def _names() -> list[str]:
    """The sweeps, the newest first."""
    found = sorted(SWEEPS.glob(f"*/{SWEEP}"), key=lambda path: path.stat().st_mtime, reverse=True)
    return [path.parent.name for path in found]


def _known() -> str:
    names = _names()
    more = f" and {len(names) - NAMED} more" * (len(names) > NAMED)
    return f" The newest are {', '.join(names[:NAMED])}{more}." if names else f" There is none in {relative(SWEEPS)} yet."


def _meant(text: str) -> str:
    """The sweep, or the sweep or run in the same place, that was meant."""
    place = Path(text).expanduser()
    beside: list[str] = []
    with suppress(OSError):
        beside = [path.name for path in place.parent.iterdir() if any((path / sign).exists() for sign in (SWEEP, RESULT))]
    return nearest(place.name, [*_names(), *beside]) or _known()


def _lacking(runs: Sequence[Run], folder: Path, plan: Plan | None) -> str | None:
    """A sentence if a job has no result, or failed. A diverged one has a result."""
    counts = Counter(str(run.row["status"]) for run in runs)
    if not any(counts[status] for status in UNDONE):
        return None
    if plan is None:
        what = "its result.json is damaged" if counts["missing"] else "the run failed"
        how = f"go on with python train.py resume={relative(folder)}"
    else:
        what = f"of {counted(len(runs), 'job')} {' and '.join(_undone(runs, counts))}"
        how = f"go on with {' and '.join(_to_go_on(runs, folder, plan))}"
        if is_held(folder):
            how = f"{holder(folder)} is at work in it: wait for its end"
    return f"{relative(folder)}: {what}; {how}, or add --partial to compare what there is."


def _undone(runs: Sequence[Run], counts: Mapping[str, int]) -> Iterator[str]:
    """`2 missing (the result.json of 1 is damaged)`, `1 failed`."""
    damaged = sum(run.row["status"] == "missing" and run.row["error"] is not None for run in runs)
    for status in UNDONE:
        if counts[status]:
            which = f" (the {RESULT} of {damaged} is damaged)" if status == "missing" and damaged else ""
            yield f"{counts[status]} {status}{which}"


def _to_go_on(runs: Sequence[Run], folder: Path, plan: Plan) -> Iterator[str]:
    """The commands that complete a sweep: those that asked for a job that has no result."""
    states = {run.folder.name: run.row["status"] for run in runs}
    for place, command in enumerate(plan.commands):
        jobs = [job for job in plan.jobs if job.command == place]
        own = {states[job.name] for job in jobs}
        if own & {*UNDONE}:
            # Where it is a mixture of versions of the code already, what is done was to count on.
            mixed = len({job.code for job in jobs}) > len({(*job.packages,) for job in jobs})
            more = [RETRY] * ("failed" in own or mixed)
            yield to_continue(command, folder, *more, packages=packages_of(plan, place))
