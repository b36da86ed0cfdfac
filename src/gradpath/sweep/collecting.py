"""From the sweeps and runs that were typed to what came out of them."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from gradpath.errors import ConfigError, counted, nearest
from gradpath.files import RESULT, SWEEP, relative
from gradpath.sweep.again import SWEEPS, packages_of, places, to_continue
from gradpath.sweep.given import Run
from gradpath.sweep.loading import single_run, sweep_runs
from gradpath.sweep.plan import Plan, read_plan

# So many names stand in an error message.
NAMED = 8


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
    incomplete = [f"{counts[status]} {status}" for status in ("missing", "failed") if counts[status]]
    if not incomplete:
        return None
    if plan is None:
        what = "the run failed" if counts["failed"] else "its result.json is damaged"
        how = f"python train.py resume={relative(folder)}"
    else:
        what = f"of {counted(len(runs), 'job')} {' and '.join(incomplete)}"
        how = " and ".join(_to_go_on(runs, folder, plan))
    return f"{relative(folder)}: {what}; go on with {how}, or add --partial to compare what there is."


def _to_go_on(runs: Sequence[Run], folder: Path, plan: Plan) -> Iterator[str]:
    """The commands that complete a sweep: those that asked for a job that has no result."""
    states = {run.folder.name: run.row["status"] for run in runs}
    for place, command in enumerate(plan.commands):
        jobs = [job for job in plan.jobs if job.command == place]
        own = {states[job.name] for job in jobs}
        if own & {"missing", "failed"}:
            more = ["sweep.retry=failed"] * ("failed" in own)
            yield to_continue(command, folder, *more, packages=packages_of(plan, place))
