"""The command line: Hydra's, with every mistake answered in one line before anything is loaded or written."""

import os
import signal
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from hydra import main as hydra_main
from hydra import version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path, get_args_parser
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gradpath.config.checks import PROJECT
from gradpath.config.overrides import check_all, check_job, parse
from gradpath.config.run_folders import resume_arguments, run_name
from gradpath.errors import ConfigError, RunFailed

CONF = PROJECT / "conf"


def launch(task: Callable[[DictConfig], Any], logs: str = "logs") -> None:
    """Runs `task` with the configuration that the command line describes, once or as a sweep.

    Args:
        logs: the folder of the project below which runs/ and sweeps/ are kept.

    Wrong input: one line on stderr, exit code 2, nothing written. A failed run: one line, exit code 1.
    """
    with one_line_errors():
        sys.argv[1:] = resume_arguments(sys.argv[1:])
        parser = get_args_parser()
        parser.error = wrong_option  # type: ignore[method-assign]
        arguments = parser.parse_args()
        shows_only = arguments.help or arguments.hydra_help or arguments.cfg or arguments.info or arguments.shell_completion
        with _config_loader(arguments, logs) as loader:
            if not shows_only:
                check_all(parse(arguments.overrides), loader, arguments.multirun)
        standing = folders_above(arguments.overrides, PROJECT / logs)
        # Makes Hydra hand exceptions on, where it would print its own account of them.
        os.environ["HYDRA_FULL_ERROR"] = "1"
        ended: list[ConfigError | RunFailed] = []

        def job(config: DictConfig) -> None:
            # Kept for the end: raised here, Hydra would print its own account, and only the first of a sweep.
            try:
                task(config)
            except (ConfigError, RunFailed, KeyboardInterrupt) as error:
                if not isinstance(error, RunFailed):
                    remove_empty(Path(HydraConfig.get().runtime.output_dir), standing)
                if isinstance(error, KeyboardInterrupt):
                    raise
                ended.append(error)

        try:
            hydra_main(config_path=str(CONF), config_name="config", version_base="1.3")(job)()
        except KeyboardInterrupt:
            fail("stopped.", code=130)
    if len(ended) > 1:
        fail(f"{len(ended)} runs of the sweep failed: {'; '.join(map(str, ended))}", code=1)
    elif ended:
        with one_line_errors():
            raise ended[0]


def compose(*overrides: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The checked configuration and the chosen options for these overrides: `compose("activation=gelu")`.

    Raises:
        ConfigError: a wrong input.
    """
    parsed = parse(overrides)
    for override in parsed:
        if override.is_sweep_override():
            raise ConfigError(f"{override.input_line}: several values, where one is wanted. (A list is written [a,b].)")
    with _config_loader() as loader:
        return check_job(loader, parsed)


def without_arguments(doc: str | None, task: Callable[[], None]) -> None:
    """A script that takes no arguments: --help prints `doc`, anything else is a wrong input."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(doc)
        return
    with one_line_errors():
        if sys.argv[1:]:
            raise ConfigError(f"{' '.join(sys.argv[1:])}: takes no arguments.")
        task()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ctrl-C waits for the end of the block: a library that is half imported answers it with errors of its own."""
    asked: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: asked.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if asked and callable(before):
        before(signal.SIGINT, None)


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turns the errors that a user can cause into one line on stderr and an exit code."""
    try:
        yield
        # What is still held back would otherwise fail after the last handler.
        sys.stdout.flush()
    except BrokenPipeError:
        # `| head` has read enough, as other commands take it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except (ConfigError, HydraException, OmegaConfBaseException) as error:
        fail(str(error).splitlines()[0])
    except OSError as error:
        fail(f"{error.filename or 'output'}: {error.strerror or error}; choose another place with hydra.run.dir=FOLDER.")
    except RunFailed as error:
        fail(str(error), code=1)


def fail(message: str, code: int = 2) -> NoReturn:
    """Prints one line on stderr and exits."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(code)


def wrong_option(message: str) -> NoReturn:
    """In the place of argparse's `error`, which prints the usage first."""
    fail(f"{message}; python train.py --help lists the options.")


def folders_above(overrides: list[str], logs: Path) -> set[Path]:
    """The folders that stand before Hydra makes one for the run: those above `logs` or above hydra.run.dir."""
    named = [text.removeprefix("hydra.run.dir=").strip("'\"") for text in overrides if text.startswith("hydra.run.dir=")]
    places = [Path(name).absolute() for name in named] or [logs / "runs"]
    return {folder for place in places for folder in (place, *place.parents) if folder.is_dir()}


def remove_empty(folder: Path, standing: set[Path]) -> None:
    """Removes the folders that Hydra made for a run that never began: empty ones, and none of `standing`."""
    for empty in (folder, *folder.parents):
        if empty in standing or not empty.is_dir() or any(empty.iterdir()):
            return
        empty.rmdir()


@contextmanager
def _config_loader(arguments: Namespace | None = None, logs: str = "logs") -> Iterator[ConfigLoader]:
    """Hydra's loader over conf/ and --config-dir, with the resolvers that conf/ uses."""
    defaults = {
        g: o for entry in OmegaConf.load(CONF / "config.yaml").defaults if entry != "_self_" for g, o in entry.items()
    }
    OmegaConf.register_new_resolver("project", lambda folder: str(PROJECT / folder), replace=True)
    OmegaConf.register_new_resolver("logs", lambda: str(PROJECT / logs), replace=True)
    OmegaConf.register_new_resolver("repeat", lambda value, n: [value] * n, replace=True)
    OmegaConf.register_new_resolver("run_name", lambda *, _root_: run_name(_root_, defaults), replace=True)
    places = create_config_search_path(str(CONF))
    if arguments and arguments.config_dir is not None:
        own = Path(arguments.config_dir).resolve()
        if not arguments.config_dir or not own.is_dir():
            raise ConfigError(f"--config-dir {arguments.config_dir}: no such folder.")
        places.prepend("command-line", f"file://{own}", SearchPathQuery(provider="schema"))
    version.setbase("1.3")
    GlobalHydra.instance().clear()
    try:
        yield Hydra.create_main_hydra2("train", places).config_loader
    finally:
        GlobalHydra.instance().clear()
