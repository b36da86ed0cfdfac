"""The folder of a sweep: a new one, or one that goes on."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from gradpath.config.grid import Grid
from gradpath.config.job import Sweep
from gradpath.errors import ConfigError
from gradpath.files import SWEEP, relative
from gradpath.sweep.plan import Plan, read_plan


def sweep_folder(sweep: Sweep, same: Callable[[Plan], bool]) -> Path:
    """Where the sweep is made. A new folder, named after the time, is made here, so that no other process takes it.

    Args:
        same: whether an old sweep was begun for the same jobs.

    Raises:
        ConfigError: there is no such sweep to resume or to join; or the folder that was named holds something else.
        OSError: the folder cannot be made.
    """
    if (sweep.settings["resume"] or sweep.settings["join"]) and not sweep.named:
        return _newest(sweep, same)
    if sweep.named:
        for key in ("resume", "join"):
            if sweep.settings[key] and read_plan(sweep.folder) is None:
                raise ConfigError(f"sweep.{key}=true: there is no sweep in {relative(sweep.folder)}.")
        _check(sweep.folder)
        return sweep.folder
    folder = sweep.folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    for number in range(2, 1000):
        try:
            folder.mkdir()
        except FileExistsError:
            # Another sweep was begun in this second.
            folder = sweep.folder.with_name(f"{sweep.folder.name}-{number}")
        else:
            return folder
    raise ConfigError(f"{relative(sweep.folder)}: there are 1000 sweeps of this second; write sweep.name=.")


def check_folder(sweep: Sweep, same: Callable[[Plan], bool]) -> None:
    """Raises ConfigError where `sweep_folder` would, and makes nothing."""
    if sweep.named or sweep.settings["resume"] or sweep.settings["join"]:
        sweep_folder(sweep, same)


def for_grid(grid: Grid) -> Callable[[Plan], bool]:
    """Whether a sweep was begun for the jobs of this grid. Their code may have changed since."""
    wanted = {tuple(grid.overrides(place)) for place in grid.places()}
    return lambda plan: plan.search is None and {tuple(job.overrides) for job in plan.jobs} == wanted


def _newest(sweep: Sweep, same: Callable[[Plan], bool]) -> Path:
    """The newest sweep that was begun for the same jobs."""
    logs = sweep.folder.parent
    for path in sorted(logs.glob(f"*/{SWEEP}"), key=lambda path: path.stat().st_mtime, reverse=True):
        # A damaged plan is of no sweep that could be meant.
        with suppress(ConfigError):
            plan = read_plan(path.parent)
            if plan and same(plan):
                return path.parent
    asked = "resume" if sweep.settings["resume"] else "join"
    raise ConfigError(
        f"sweep.{asked}=true: no sweep in {relative(logs)} was begun for these jobs; leave it out to begin one."
    )


def _is_other(path: Path) -> bool:
    """Whether a file is neither hidden nor what a sweeper of Hydra's writes first."""
    return not path.name.startswith(".") and path.name != "multirun.yaml"


def _check(folder: Path) -> None:
    """Raises ConfigError if the folder holds something that is no sweep."""
    if folder.exists() and not (folder / SWEEP).exists() and any(_is_other(path) for path in folder.iterdir()):
        raise ConfigError(f"{relative(folder)}: holds files but no {SWEEP}; choose another name.")
