"""The folder of a sweep: a new one, or one that goes on."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from gradpath.config.grid import Grid
from gradpath.config.job import Sweep
from gradpath.errors import ConfigError
from gradpath.files import SWEEP, relative
from gradpath.sweep.plan import Plan, read_plan
from gradpath.sweep.typed_values import same_when_equal

# How well a sweep has the jobs that were typed: 2 if it consists of them, 1 if it has them among others, 0 if not.
Match = Callable[[Plan], int]


def sweep_folder(sweep: Sweep, match: Match) -> Path:
    """Where the sweep is made. A new folder, named after the time, is made here, so that no other process takes it.

    Args:
        match: tells whether an old sweep is meant.

    Raises:
        ConfigError: there is no such sweep to resume or to join; or the folder that was named holds something else.
        OSError: the folder cannot be made.
    """
    if (sweep.settings["resume"] or sweep.settings["join"]) and not sweep.named:
        return _newest(sweep, match)
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


def check_folder(sweep: Sweep, match: Match) -> Path | None:
    """The folder of a sweep that is there already. Raises ConfigError where `sweep_folder` would, and makes nothing."""
    known = sweep.named or sweep.settings["resume"] or sweep.settings["join"]
    folder = sweep_folder(sweep, match) if known else None
    return folder if folder and folder.is_dir() else None


def for_grid(grid: Grid) -> Match:
    """Tells a sweep of the jobs of this grid, and one that has them among others. Their code may have changed since."""
    wanted = {same_when_equal(grid.overrides(place)) for place in grid.places()}

    def match(plan: Plan) -> int:
        known = {same_when_equal(job.overrides) for job in plan.jobs}
        return 0 if plan.search is not None or not wanted <= known else 2 if wanted == known else 1

    return match


def _newest(sweep: Sweep, match: Match) -> Path:
    """The newest sweep of the same jobs; if there is none, the newest that has them among others."""
    logs = sweep.folder.parent
    has_them = None
    for path in sorted(logs.glob(f"*/{SWEEP}"), key=lambda path: path.stat().st_mtime, reverse=True):
        # A damaged plan is of no sweep that could be meant.
        with suppress(ConfigError):
            plan = read_plan(path.parent)
            found = match(plan) if plan else 0
            if found == 2:
                return path.parent
            if found and not has_them:
                has_them = path.parent
    if has_them:
        return has_them
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
