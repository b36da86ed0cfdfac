"""Hydra's command line. Every mistake is answered in one line, before anything is loaded or written."""

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from errno import ENOTDIR
from pathlib import Path
from typing import Any

from hydra import main as hydra_main
from hydra._internal.utils import get_args_parser
from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, read_write
from omegaconf.errors import OmegaConfBaseException

from gradpath.columns import wrapped
from gradpath.config.composition import CONF, config_loader
from gradpath.config.flags import read_flags
from gradpath.config.grammar import line, parse
from gradpath.config.grid import Place, grid
from gradpath.config.grid_composition import GridComposition
from gradpath.config.hydras_keys import refuse_unused
from gradpath.config.hydras_output import fitted_help, hydras_errors
from gradpath.config.job import Job, Sweep
from gradpath.config.objective import check_objective
from gradpath.config.one_line import fail, one_line_errors
from gradpath.config.overrides import Composition, check_job, mapping, plain, refuse_plus, without_null, without_plus
from gradpath.config.resume import resume_arguments
from gradpath.config.schema import GROUPS
from gradpath.config.search import Search, search
from gradpath.config.space import whole_numbers
from gradpath.config.typed import Typed, check_typed, check_zipped, refuse_twice, searches
from gradpath.errors import ConfigError, RunFailed, first_line
from gradpath.files import absolute, check_current
from gradpath.streams import open_streams
from gradpath.threads import wait_briefly


def launch(
    task: Callable[[Job], Any], sweep: Callable[[Sweep], Any] | None = None, logs: str = "logs", resumes: bool = True
) -> None:
    """Runs `task` on the job that the command line describes, or `sweep` on all its jobs.

    Args:
        sweep: raises RunFailed if a job failed. Without it `task` is called for one job after another.
        logs: a folder of the project; runs/ and sweeps/ are kept in it.
        resumes: whether the task can go on with a run.

    On a wrong input it prints one line on stderr, exits with code 2 and writes nothing. After a failed run it prints one
    line and exits with code 1.
    """
    wait_briefly()
    open_streams()
    with one_line_errors():
        check_current()
        # Hydra, which reads it again for a sweep, takes no null for a group.
        sys.argv[1:] = [listed(text) for text in resume_arguments(sys.argv[1:], resumes) if text != "experiment=null"]
        arguments = read_flags(sys.argv[1:])
        shows_only = arguments.help or arguments.hydra_help or arguments.cfg or arguments.info or arguments.shell_completion
        try:
            with config_loader(arguments.config_dir, logs) as loader:
                found = None if shows_only else read(parse(arguments.overrides, loader), loader, arguments.multirun)
            if isinstance(found, Job):
                if arguments.multirun:
                    said = (
                        "-m with a single job is a run; several values of a key, as in seed=0,1, or sweep.name= make a sweep"
                    )
                    print(*wrapped(said, further="  "), sep="\n", flush=True)
                task(found)
                return
            if found and sweep:
                sweep(found)
                return
            if found and found.search:
                raise ConfigError("hydra/sweeper=optuna: only train.py searches")
            with fitted_help(arguments.help or arguments.hydra_help), hydras_errors(arguments.cfg):
                ended = one_by_one(task, found) if found else by_hydra(task)
        except KeyboardInterrupt:
            fail("stopped.", code=130)
    if len(ended) > 1:
        fail(f"{len(ended)} runs of the sweep failed: {'; '.join(map(str, ended))}", code=1)
    elif ended:
        fail(str(ended[0]), code=1 if isinstance(ended[0], RunFailed) else 2)


def read(overrides: list[Override], loader: ConfigLoader, multirun: bool) -> Job | Sweep | None:
    """The job or the sweep that was typed, checked; None if Hydra's own runner has to do it.

    Raises:
        ConfigError: for the first mistake; for a + only if the same line without it has none.
    """
    typed = check_typed(without_null(without_plus(overrides)), loader, multirun)
    found: Job | Sweep | None = None
    if isinstance(typed, Composition):
        if not needs_hydra(typed.node.hydra):
            refuse_unused(overrides, typed.node.hydra, sweep=False)
            found = single_job(typed)
    elif is_ours(typed.hydra):
        refuse_unused(overrides, typed.hydra, sweep=True)
        found = read_sweep(typed, loader)
    refuse_plus(overrides)
    return found


def read_sweep(typed: Typed, loader: ConfigLoader) -> Job | Sweep:
    """The jobs of a sweep, each checked. One job is a run, unless a key of `sweep` or its folder was typed.

    Raises:
        ConfigError: for the first mistake, in any job.
    """
    if searches(typed.hydra):
        return read_search(typed, loader)
    check_zipped(typed, loader)
    jobs = grid(typed.overrides, typed.settings["zip"])
    if len(jobs) > typed.settings["limit"]:
        limit = typed.settings["limit"]
        raise ConfigError(f"sweep.limit={limit}: the sweep has {len(jobs)} jobs, each a run; write sweep.limit={len(jobs)}.")
    composition = GridComposition(jobs, loader)
    check_objective(typed.settings["objective"], data_of(composition, jobs.places()))
    if len(jobs) == 1:
        refuse_twice(typed.with_hydras)
    if len(jobs) == 1 and not typed.is_set and not is_named(typed):
        return single_job(check_job(loader, typed.with_hydras))
    return made(typed, composition)


def read_search(typed: Typed, loader: ConfigLoader) -> Sweep:
    """A sweep whose jobs are proposed one by one. What can be proposed is checked as far as it can be.

    Raises:
        ConfigError: for the first mistake.
    """
    found = search(typed, loader)
    corners = found.space.corners.places_beside(typed.settings["limit"])
    with whole_numbers(found.space):
        composition = GridComposition(found.space.corners, loader)
        data = data_of(composition, corners)
    check_objective(found.objectives, data)
    return made(typed, composition, found)


def data_of(composition: GridComposition, places: Iterable[Place]) -> set[str]:
    """The targets of the jobs' data sets. Raises ConfigError for the first mistake in any job."""
    return {str(composition(place)[0]["data"]["_target_"]) for place in places}


def made(typed: Typed, composition: GridComposition, found: Search | None = None) -> Sweep:
    """A sweep as it was typed, with Hydra's part of it."""
    dirs = [line(one) for one in typed.with_hydras if one.key_or_group == "hydra.sweep.dir"]
    if typed.settings["name"] is not None and dirs and "sweep.name" not in dirs[-1]:
        raise ConfigError(f"sweep.name={typed.settings['name']} and {dirs[-1]} both say where the sweep is; leave one out.")
    folder, launcher = absolute(typed.hydra.sweep.dir), mapping(typed.hydra.launcher)
    return Sweep(
        composition.grid, composition, typed.settings, launcher, folder, is_named(typed), variables(typed.hydra), found
    )  # fmt: skip


def is_named(typed: Typed) -> bool:
    """Whether the user has said where the sweep is."""
    return typed.settings["name"] is not None or any(o.key_or_group == "hydra.sweep.dir" for o in typed.with_hydras)


def is_ours(hydra: DictConfig) -> bool:
    """Whether a sweep is made by our own code: a grid or a search, on one of our launchers or in this process.

    Raises:
        ConfigError: the sweep uses what only Hydra's own runner does, with a launcher of ours.
    """
    launcher = str(hydra.launcher.get("_target_"))
    own = launcher.startswith("hydra_plugins.gradpath.")
    if searches(hydra):
        if needs_hydra(hydra) or not (own or "BasicLauncher" in launcher):
            raise ConfigError(
                "hydra/sweeper=optuna: takes our own launchers, and no hydra.callbacks, hydra.job.chdir or Hydra's logging."
            )
        return True
    if needs_hydra(hydra) and own:
        raise ConfigError("hydra.callbacks, hydra.job.chdir and Hydra's logging: add hydra/launcher=basic.")
    grid = "BasicSweeper" in str(hydra.sweeper.get("_target_"))
    return grid and not needs_hydra(hydra) and (own or "BasicLauncher" in launcher)


def one_by_one(task: Callable[[Job], Any], sweep: Sweep) -> list[ConfigError | RunFailed]:
    """Runs every job of a sweep in this process. Returns the failures."""
    ended: list[ConfigError | RunFailed] = []
    for job in sweep.jobs():
        try:
            task(job)
        except (ConfigError, RunFailed) as error:
            ended.append(error)
    return ended


def single_job(found: Composition) -> Job:
    """The job of a command line that is not a sweep.

    Hydra's own runner is not used: it would make the run's folder before anything is built.
    """
    hydra = found.node.hydra
    # For interpolations such as ${hydra:job.name}, here and in the user's own code.
    HydraConfig.instance().set_config(found.node)
    folder = absolute(hydra.run.dir)
    with read_write(hydra.runtime):
        hydra.runtime.output_dir = str(folder)
    standing = next(place for place in (folder, *folder.parents) if place.exists())
    if not standing.is_dir():
        raise NotADirectoryError(ENOTDIR, os.strerror(ENOTDIR), str(standing))
    os.environ.update(variables(hydra))
    return Job(found.config, found.choices, folder, list(hydra.overrides.task))


def variables(hydra: DictConfig) -> dict[str, str]:
    """The environment variables that a job sets."""
    return {str(name): str(value) for name, value in hydra.job.env_set.items()}


def needs_hydra(hydra: DictConfig) -> bool:
    """Whether a single job uses what only Hydra's own runner does: a log, callbacks, another working directory."""
    logging = hydra.runtime.choices.get("hydra/job_logging") != "none"
    return bool(logging or hydra.verbose or hydra.callbacks or hydra.output_subdir or hydra.job.chdir)


def by_hydra(task: Callable[[Job], Any]) -> list[ConfigError | RunFailed]:
    """Runs what was typed by Hydra's own runner, or prints what --help and the like ask for. Returns the failures."""
    # Hydra, which parses the line again, takes no option between two overrides.
    options = sys.argv[1:]
    overrides = get_args_parser().parse_intermixed_args().overrides
    for override in overrides:
        options.remove(override)
    sys.argv[1:] = [*overrides, *options]
    # With this, Hydra re-raises exceptions instead of printing its own report of them.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    ended: list[ConfigError | RunFailed] = []
    faults: list[Exception] = []

    def job(config: DictConfig) -> None:
        hydra = HydraConfig.get()
        folder = Path(hydra.runtime.output_dir)
        number = hydra.job.num if "MULTIRUN" in str(hydra.mode) else None
        names = [*GROUPS, "experiment"]
        choices = {group: str(hydra.runtime.choices[group]) for group in names if hydra.runtime.choices.get(group)}
        try:
            task(Job(plain(config, resolve=True), choices, folder, list(hydra.overrides.task), number))
        except (ConfigError, RunFailed) as error:
            # Failures are reported at the end. Raised here, the first one would end the sweep with Hydra's own report.
            ended.append(error)
        except Exception as error:
            faults.append(error)
            raise
        except KeyboardInterrupt:
            with suppress(OSError):
                # Hydra makes the job's folder first. An empty folder means that nothing had begun.
                folder.rmdir()
            raise

    try:
        hydra_main(config_path=str(CONF), config_name="config", version_base="1.3")(job)()
    except (HydraException, OmegaConfBaseException, OSError):
        raise
    except Exception as error:
        if error in faults:
            raise
        # Hydra answers flags that do not go together, and odd values of its own keys, with a traceback.
        given = " ".join(text for text in sys.argv[1:] if text.lstrip("+").startswith(("hydra", "-"))) or "hydra"
        said = "" if first_line(error) == type(error).__name__ else f": {first_line(error)}"
        raise ConfigError(f"{given}: Hydra cannot use it ({type(error).__name__}{said}).") from None
    return ended


@contextmanager
def undisturbed() -> Iterator[None]:
    """Delays Ctrl-C until the end of the block. A half-imported library would answer it with errors of its own."""
    asked: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: asked.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if asked and callable(before):
        before(signal.SIGINT, None)


def listed(text: str) -> str:
    """`fail_on=a,b` as the list that is meant. Everywhere else commas separate the values of a sweep."""
    key, _, value = text.partition("=")
    return f"{key}=[{value}]" if key == "fail_on" and value and not value.startswith("[") else text
