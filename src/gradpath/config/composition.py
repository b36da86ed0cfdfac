"""Hydra composes the configuration from conf/, for the command line and for a function call."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra import version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from gradpath.config.checks import PROJECT
from gradpath.config.grammar import parse
from gradpath.config.overrides import check_job, refuse_plus, without_plus
from gradpath.config.run_names import run_name, sweep_name
from gradpath.config.schema import DEEPEST
from gradpath.errors import ConfigError

CONF = PROJECT / "conf"


def compose(*overrides: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The checked configuration and the chosen options for overrides such as `compose("activation=gelu")`.

    Raises:
        ConfigError: an override is wrong.
    """
    parsed = parse(overrides)
    for override in parsed:
        if override.is_sweep_override():
            raise ConfigError(f"{override.input_line}: several values, where one is wanted. A list is written [a,b].")
    with config_loader() as loader:
        job = check_job(loader, without_plus(parsed))
    refuse_plus(parsed)
    return job.config, job.choices


def _repeat(value: Any, count: Any) -> list[Any]:
    if not isinstance(count, int) or count > DEEPEST:
        # What the schema says of the key is the answer; a longer list would take all memory before that.
        raise ValueError(f"cannot repeat {value} {count} times")
    return [value] * count


@contextmanager
def config_loader(config_dir: str | None = None, logs: str = "logs") -> Iterator[ConfigLoader]:
    """Hydra's loader over conf/ and --config-dir, with the resolvers that conf/ uses."""
    defaults = {
        g: o for entry in OmegaConf.load(CONF / "config.yaml").defaults if entry != "_self_" for g, o in entry.items()
    }
    OmegaConf.register_new_resolver("project", lambda folder: str(PROJECT / folder), replace=True)
    OmegaConf.register_new_resolver("logs", lambda: str(PROJECT / logs), replace=True)
    OmegaConf.register_new_resolver("repeat", _repeat, replace=True)
    OmegaConf.register_new_resolver("run_name", lambda *, _root_: run_name(_root_, defaults), replace=True)
    OmegaConf.register_new_resolver("sweep_name", sweep_name, replace=True)
    places = create_config_search_path(str(CONF))
    if config_dir is not None:
        own = Path(config_dir).resolve()
        if not config_dir or not own.is_dir():
            raise ConfigError(f"--config-dir {config_dir}: no such folder.")
        places.prepend("command-line", f"file://{own}", SearchPathQuery(provider="schema"))
    version.setbase("1.3")
    GlobalHydra.instance().clear()
    try:
        yield Hydra.create_main_hydra2("train", places).config_loader
    finally:
        GlobalHydra.instance().clear()
