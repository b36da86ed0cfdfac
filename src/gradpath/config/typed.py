"""What was typed: a job or a sweep."""

from dataclasses import dataclass
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

from gradpath.config.checks import check_settings
from gradpath.config.grammar import check_sweep, line, parse, values
from gradpath.config.hydras_part import check_hydra
from gradpath.config.overrides import Composition, check_job, choosing_options, is_hydras, is_sweep, load, mapping, set_key
from gradpath.config.target_names import check_environment
from gradpath.errors import ConfigError, nearest_key

SEARCH = "hydra_plugins.gradpath.sweeper.Optuna"
# What says how Hydra makes a sweep, and would be without effect in a run.
OF_SWEEPS = ("hydra/launcher", "hydra/sweeper", "hydra.launcher", "hydra.sweeper")


@dataclass(frozen=True)
class Typed:
    """A sweep as it was typed. Its jobs are not checked yet.

    overrides: of its jobs; what an experiment varies comes first.
    with_hydras: what was typed, with Hydra's own keys.
    hydra: Hydra's part of the configuration.
    settings: the keys of `sweep`: how the sweep itself is made.
    is_set: whether any of them was typed.
    """

    overrides: list[Override]
    with_hydras: list[Override]
    hydra: DictConfig
    settings: dict[str, Any]
    is_set: bool


def check_typed(overrides: list[Override], loader: ConfigLoader, multirun: bool) -> Composition | Typed:
    """The job that was typed, checked, or the sweep.

    Raises:
        ConfigError: for the first mistake.
    """
    for override in overrides:
        if multirun and override.key_or_group == "hydra.run.dir":
            raise ConfigError(f"{override.input_line}: a sweep has many runs; its folder is hydra.sweep.dir.")
        if is_hydras(override) and override.is_sweep_override():
            raise ConfigError(f"{override.input_line}: one value for the whole sweep.")
    settings = [override for override in overrides if override.key_or_group.split(".")[0] == "sweep"]
    jobs = [override for override in overrides if override not in settings]
    own = [override for override in jobs if not is_hydras(override)]
    swept = [override for override in jobs if override.is_sweep_override()]
    if not swept and not multirun:
        job = check_job(loader, jobs)
        if not is_sweep(job.node.hydra):
            if settings:
                _check_setting(settings[0], job.node)
            unused = [*settings, *(one for one in jobs if one.key_or_group.startswith(OF_SWEEPS))]
            if unused:
                raise ConfigError(f"{line(unused[0])}: belongs to a sweep: add -m.")
            return job
        node = job.node
    else:
        choosing = choosing_options(jobs, loader)
        node = load(loader, [override for override in choosing if not override.is_sweep_override()])
        check_hydra(node)
        check_environment(node.hydra.job.env_set)
    varied = [*_params(node.hydra.sweeper, loader), *own]
    for override in varied:
        if override.is_interval_sweep() and not searches(node.hydra):
            raise ConfigError(f"{override.input_line}: write the values out, as in key=1,2,3 or key=range(1,4).")
    if swept and not multirun and not is_sweep(node.hydra):
        raise ConfigError(f"{swept[0].input_line}: several values are a sweep: add -m. A list is written [a,b].")
    return Typed(varied, jobs, node.hydra, _settings(node, settings), bool(settings))


def refuse_twice(overrides: list[Override]) -> None:
    """Raises ConfigError for a key with two values, of which the first would be lost."""
    for k, last in enumerate(overrides):
        for first in overrides[:k]:
            if first.key_or_group == last.key_or_group and line(first) != line(last):
                both = f"{last.get_key_element()}={','.join([*values(first), *values(last)])}"
                raise ConfigError(f"{line(first)} {line(last)}: a key twice; to run both, write {both}.")


def searches(hydra: DictConfig) -> bool:
    """Whether the jobs are proposed by our own search, hydra/sweeper=optuna."""
    return str(hydra.sweeper.get("_target_")) == SEARCH


def check_zipped(typed: Typed, loader: ConfigLoader) -> None:
    """Raises ConfigError for a key of `sweep.zip` that was given no value, and that the chosen options do not have."""
    given = {override.key_or_group for override in typed.overrides}
    for key in typed.settings["zip"]:
        if key in given or key in loader.list_groups(""):
            continue
        fixed = [override for override in typed.with_hydras if not override.is_sweep_override()]
        try:
            check_job(loader, [*fixed, *parse([f"{key}=null"])])
        except ConfigError as error:
            # The value is not what was typed.
            _, is_no_key, hint = str(error).partition(f"{key}=null: ")
            if is_no_key and (" has no such key." in hint or "no such group or key." in hint):
                raise ConfigError(f"sweep.zip: {key}: {hint}") from None


def _settings(node: DictConfig, typed: list[Override]) -> dict[str, Any]:
    """How the sweep itself is made: the keys of `sweep`, checked."""
    for k, override in enumerate(typed):
        if override.is_sweep_override():
            raise ConfigError(f"{line(override)}: one value for the whole sweep; a list is written [a,b].")
        _check_setting(override, node)
        if override.key_or_group == "sweep.zip" and any(other.key_or_group == "sweep.zip" for other in typed[:k]):
            raise ConfigError(f"{line(override)}: sweep.zip is there twice; all keys that change together are one list.")
        set_key(node, override)
    settings = mapping(node.sweep)
    check_settings(settings)
    return settings


def _check_setting(override: Override, node: DictConfig) -> None:
    """Raises ConfigError if `sweep` has no such key."""
    known = [f"sweep.{name}" for name in node.sweep]
    if override.key_or_group == "sweep":
        raise ConfigError(f"{line(override)}: a group of keys; set one of {', '.join(known)}.")
    if override.key_or_group not in known:
        near = nearest_key(override.key_or_group, known)
        raise ConfigError(f"{line(override)}: sweep has no such key.{near} Its keys: {', '.join(known)}.")


def _params(sweeper: Any, loader: ConfigLoader) -> list[Override]:
    """What an experiment varies in a sweep."""
    given = sweeper.get("params") or {}
    if not isinstance(given, DictConfig | dict):
        raise ConfigError(
            f"hydra.sweeper.params={given}: must be a group of keys, each with its values, such as {{seed:'0,1'}}."
        )
    params = parse((f"{key!s}={value}" for key, value in given.items()), loader)
    for param in params:
        check_sweep(param)
    return params
