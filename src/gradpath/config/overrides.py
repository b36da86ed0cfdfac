"""Checks what was typed on the command line, before torch is imported or anything is written."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from hydra._internal.config_loader_impl import get_overrides_dirname
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from gradpath.config.checks import check, check_kind, check_model, check_types, leaves
from gradpath.config.fitting import check_fit
from gradpath.config.grammar import check_sweep, line, parse, values
from gradpath.config.hints import Asked, near_key, not_computed
from gradpath.config.hydras_keys import check_hydras_group, check_hydras_keys
from gradpath.config.hydras_part import check_hydra
from gradpath.config.schema import GROUPS, Root
from gradpath.config.target_names import check_environment, check_texts
from gradpath.errors import ConfigError, first_line, nearest, nearest_part


@dataclass(frozen=True)
class Composition:
    """A job's configuration, checked.

    node: the configuration with Hydra's part, unresolved.
    config: the configuration without Hydra's part and `sweep`, resolved, as plain dicts and lists.
    choices: the option of every group.
    known: the keys that the chosen options' own files have, unresolved.
    """

    node: DictConfig
    config: dict[str, Any]
    choices: dict[str, str]
    known: Mapping[str, Any]


def without_plus(overrides: list[Override]) -> list[Override]:
    """Each key that was typed with a + as one without. Hydra's own keys keep theirs."""
    return [
        o if is_hydras(o) or not line(o).startswith("+") else parse([line(o).lstrip("+")], o.config_loader)[0]
        for o in overrides
    ]


def without_null(overrides: list[Override]) -> list[Override]:
    """Drops experiment=null, which is the default. Hydra does not take null for a group."""

    def chosen(override: Override) -> bool:
        return override.is_delete() or override.is_sweep_override() or override.value() is not None

    return [override for override in overrides if override.key_or_group != "experiment" or chosen(override)]


def refuse_plus(overrides: list[Override]) -> None:
    """Raises ConfigError for a key that was typed with a +."""
    for typed, bare in zip(overrides, without_plus(overrides), strict=True):
        if typed is not bare:
            raise ConfigError(f"{typed.input_line}: no + is needed; write {bare.input_line}.")


def check_job(loader: ConfigLoader, overrides: list[Override]) -> Composition:
    """Composes one job's configuration once and checks it. As in Hydra, options come first, then the keys that were typed.

    A key is known if a chosen option file has it. Neither an experiment nor the command line can bring a key of one option
    into another. An experiment takes a second composition, to find the keys that its options have without it.

    Raises:
        ConfigError: for the first mistake.
    """
    choosing = choosing_options(overrides, loader)
    overrides, choosing = without_null(overrides), without_null(choosing)
    node = load(loader, choosing)
    check_texts(OmegaConf.to_container(node), "")
    check_hydra(node)
    check_environment(node.hydra.job.env_set)
    options = node.hydra.runtime.choices
    choices = {group: str(options[group]) for group in GROUPS}
    bare = node
    if options.get("experiment"):
        bare = load(loader, parse(f"{group}={option}" for group, option in choices.items()))
    known = dict(leaves(plain(bare, resolve=False)))
    for override in overrides:
        if override not in choosing:
            _check_key(override, known, choices, _asked(known, choosing, loader))
            set_key(node, override)
    task = [override for override in overrides if not is_hydras(override)]
    # What Hydra derives from all that was typed.
    node.hydra.overrides.task = [line(override) for override in task]
    how = node.hydra.job.config.override_dirname
    node.hydra.job.override_dirname = get_overrides_dirname(task, list(how.exclude_keys), how.item_sep, how.kv_sep)
    try:
        config = plain(node, resolve=True)
    except OmegaConfBaseException as error:
        # A value of a wrong type, from which another one is computed, is named before that one.
        check_types(plain(node, resolve=False))
        raise ConfigError(not_computed(error, plain(node, resolve=False))) from None
    _check_experiment(config, known, choices, options.get("experiment"))
    check(config)
    check_model(choices["model"], config["model"]["hidden"])
    check_fit(config, choices)
    if options.get("experiment"):
        choices["experiment"] = str(options["experiment"])
    return Composition(node, config, choices, known)


def set_key(node: DictConfig, override: Override) -> None:
    """Applies a key that was typed, as Hydra does."""
    try:
        OmegaConf.update(node, override.key_or_group, override.value(), merge=True)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{line(override)}: {first_line(error)}.") from None


def is_sweep(hydra: DictConfig) -> bool:
    return "MULTIRUN" in str(hydra.mode)


def plain(config: DictConfig, resolve: bool) -> dict[str, Any]:
    """The configuration without Hydra's part and `sweep`, as dicts and lists."""
    return mapping(OmegaConf.masked_copy(config, [str(k) for k in config if k not in ("hydra", "sweep")]), resolve)


def mapping(node: DictConfig, resolve: bool = True) -> dict[str, Any]:
    """A node of a configuration as dicts and lists."""
    content = OmegaConf.to_container(node, resolve=resolve)
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}


def choosing_options(overrides: list[Override], loader: ConfigLoader) -> list[Override]:
    """The overrides that choose options or are Hydra's own. They can be composed before any other key is looked at.

    Raises:
        ConfigError: an override names no group or key, or changes something in a way that is not allowed.
    """
    groups = loader.list_groups("")
    choosing = [override for override in overrides if override.key_or_group in groups or is_hydras(override)]
    for override in overrides:
        _check_name(override, groups, choosing, loader)
    return choosing


def is_hydras(override: Override) -> bool:
    return override.key_or_group.split("/")[0].split(".")[0] == "hydra"


def _check_name(override: Override, groups: list[str], choosing: list[Override], loader: ConfigLoader) -> None:
    key, typed = override.key_or_group, override.input_line or ""
    if key == "hydra.searchpath":
        # To see whether a package is there, Hydra imports it.
        raise ConfigError(f"{typed}: add folders with --config-dir.")
    if key == "hydra":
        raise ConfigError(f"{typed}: a group of keys, such as hydra.run.dir.")
    check_sweep(override)
    if key in ("hydra.run.dir", "hydra.sweep.dir") and not str(override.value() or "").strip():
        # Empty, as from a variable of the shell that is not set, it would be the current folder.
        raise ConfigError(f"{typed}: write a folder.")
    if is_hydras(override):
        _check_hydras_option(override, loader)
        check_hydras_group(override, loader)
        return
    groups = [name for name in groups if name != "hydra"]
    if override.is_delete():
        raise ConfigError(f"{typed}: keys cannot be removed; set a value instead.")
    if key in groups:
        options = loader.get_group_options(key)
        content = override.value()
        if isinstance(content, list):
            several = ",".join(map(str, content))
            raise ConfigError(f"{typed}: one option, not a list. Several are a sweep: -m {key}={several}.")
        for value in values(override):
            if value not in options and not (key == "experiment" and value == "null" and not override.is_sweep_override()):
                asked = _asked({}, choosing, loader)
                near = nearest_part(value, [option for option in options if asked.accepts(f"{key}={option}")])
                raise ConfigError(f"{key}={value}: no such option.{near} There are {', '.join(options)}.")
    elif key.split(".")[0] not in [*groups, *Root.__annotations__]:
        hint = _hint(override, choosing, loader)
        raise ConfigError(f"{typed}: no such group or key.{hint} There are {', '.join(groups)}.")


def _check_hydras_option(override: Override, loader: ConfigLoader) -> None:
    """Raises ConfigError if an option of Hydra's own is chosen that is not there, such as `hydra/launcher=slurmm`."""
    group, below = override.key_or_group, "hydra/"
    if not group.startswith(below) or override.is_delete():
        return
    groups = [below + name for name in loader.list_groups("hydra")]
    if group not in groups:
        raise ConfigError(f"{line(override)}: no such group.{nearest(group, groups)} There are {', '.join(groups)}.")
    options = loader.get_group_options(group)
    for value in values(override):
        if value not in options:
            raise ConfigError(f"{group}={value}: no such option.{nearest(value, options)} There are {', '.join(options)}.")


def _check_key(override: Override, known: dict[str, Any], choices: dict[str, str], asked: Asked) -> None:
    key, typed = override.key_or_group, override.input_line
    if key in known:
        check_kind(key, override.value(), known[key])
        return
    group = key.split(".")[0]
    below = [name for name in known if name.startswith(f"{key}.")]
    if below:
        raise ConfigError(f"{typed}: a group of keys; set one of {', '.join(below)}.")
    hint = near_key(key, values(override)[0], asked)
    keys = [name for name in known if name.startswith(f"{group}.") and not name.endswith("_target_")]
    where = f"{group}={choices[group]}" if group in choices else "the configuration"
    raise ConfigError(f"{typed}: {where} has no such key.{hint} Its keys: {', '.join(keys) or 'none'}.")


def _asked(known: Collection[str], choosing: list[Override], loader: ConfigLoader) -> Asked:
    """What a hint at another key or option needs to know, beside what was chosen."""

    def chosen(but: str) -> list[Override]:
        kept = [override for override in choosing if override.key_or_group != but and not override.is_sweep_override()]
        return [override for override in kept if _is_there(override, loader)]

    def keys(choice: str) -> list[str]:
        group = choice.partition("=")[0]
        found = leaves(plain(load(loader, parse([choice])), resolve=False)[group], f"{group}.")
        return [key for key, _ in found if not key.endswith("_target_")]

    def accepts(choice: str) -> bool:
        others = chosen(choice.partition("=")[0])
        # An experiment alone has keys that only some options take.
        if not any(override.key_or_group == "experiment" for override in others):
            return True
        try:
            check_job(loader, [*others, *parse([choice])])
        except ConfigError:
            return False
        return True

    return Asked(known, loader.get_group_options, keys, accepts)


def _hint(override: Override, choosing: list[Override], loader: ConfigLoader) -> str:
    """A hint at what was meant by a key of no group."""
    there = [choice for choice in choosing if not choice.is_sweep_override() and _is_there(choice, loader)]
    known = [key for key, _ in leaves(plain(load(loader, there), resolve=False))]
    return near_key(override.key_or_group, values(override)[0], _asked(known, choosing, loader))


def _is_there(override: Override, loader: ConfigLoader) -> bool:
    return not is_hydras(override) and values(override)[0] in loader.get_group_options(override.key_or_group)


def _check_experiment(
    config: dict[str, Any], known: dict[str, Any], choices: dict[str, str], experiment: str | None
) -> None:
    for key, value in leaves(config):
        if key not in known:
            group = key.split(".")[0]
            if not experiment:
                home = next((name for name in known if key.startswith(f"{name}.")), group)
                where = f"; choose another option of {group}, or write one" if group in choices else ""
                raise ConfigError(f"{home}: must not be a group of keys here{where}.")
            raise ConfigError(f"{key}={value}: set by the experiment, but {group}={choices.get(group)} has no such key.")


def load(loader: ConfigLoader, overrides: list[Override]) -> DictConfig:
    try:
        return loader.load_configuration("config", [line(override) for override in overrides], run_mode=RunMode.RUN)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{mark.name}, line {mark.line + 1}" if mark else "an option's file"
        raise ConfigError(f"{place}: not YAML ({first_line(error)}).") from None
    except RecursionError:
        chosen = " ".join(line(override) for override in overrides if not is_hydras(override))
        raise ConfigError(f"{chosen or 'the option files'}: a group or list contains itself (*a inside &a).") from None
    except KeyError as error:
        raise ConfigError(f"hydra.job.env_copy: there is no variable {error} in the environment.") from None
    except (HydraException, OmegaConfBaseException) as error:
        check_hydras_keys(loader, overrides)
        said, typed = first_line(error), first_line(error).removeprefix("Error merging override ")
        _check_files(loader, overrides)
        cause = f" ({first_line(error.__cause__)})" if error.__cause__ else ""
        if error.__cause__ and typed != said:
            raise ConfigError(f"{typed}: {first_line(error.__cause__)}.") from None
        raise ConfigError(said + cause + ".") from None
    except (AssertionError, AttributeError, TypeError, ValueError, OSError) as error:
        _check_files(loader, overrides)
        # Hydra does not expect every value of its own keys.
        hydras = " ".join(line(override) for override in overrides if is_hydras(override))
        raise ConfigError(f"{hydras or 'the option files'}: {first_line(error)}.") from None


def _check_files(loader: ConfigLoader, overrides: list[Override]) -> None:
    """Raises ConfigError for a chosen option whose file cannot be read: it is in no UTF-8, or no group of keys."""
    chosen = [(o, f"{o.key_or_group}/{value}") for o in overrides if not o.is_sweep_override() for value in values(o)]
    for source in loader.get_sources():
        for override, path in chosen:
            try:
                if source.available() and source.is_config(path):
                    source.load_config(path)
            except (UnicodeDecodeError, OSError, YAMLError, RecursionError, HydraException, OmegaConfBaseException) as error:
                raise ConfigError(f"{line(override)}: its file cannot be read ({first_line(error)}).") from None
