"""Keys of Hydra's own part that do not exist, are no single value, or have no effect, each with what is meant instead."""

import re
from collections.abc import Iterable
from contextlib import suppress

from hydra.conf import HydraConf
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gradpath.config.grammar import line, values
from gradpath.errors import ConfigError, alternatives, nearest, nearest_key

# So many keys are listed.
LISTED = 20
# The keys, and groups of keys, that have an effect where Hydra's own runner is not used.
USED = (
    *(
        "hydra.run.dir",
        "hydra.sweep.dir",
        "hydra.launcher",
        "hydra.sweeper",
        "hydra.callbacks",
        "hydra.mode",
        "hydra.verbose",
    ),
    *("hydra.output_subdir", "hydra.job.chdir", "hydra.job.env_set", "hydra.job.env_copy", "hydra.job_logging"),
    *("hydra.job.config.override_dirname", "hydra.hydra_logging", "hydra.help", "hydra.hydra_help"),
)


def check_hydras_keys(loader: ConfigLoader, overrides: Iterable[Override]) -> None:
    """Raises ConfigError for the first key such as `hydra.launcher.job` that the chosen options do not have.

    It takes a composition, so that it is called only if one has failed. What is wrong otherwise is left to the caller.
    """
    keyed = [one for one in overrides if one.key_or_group.startswith("hydra.") and not line(one).startswith("+")]
    others = [line(one) for one in overrides if one not in keyed]
    if not keyed:
        return
    try:
        node = loader.load_configuration("config", others, run_mode=RunMode.RUN)
    except (HydraException, OmegaConfBaseException):
        return
    for one in keyed:
        _check(one, node, loader)


def check_hydras_group(override: Override, loader: ConfigLoader) -> None:
    """Raises ConfigError if a group of keys is typed as one value, such as `hydra.launcher=slurm` or `hydra.sweep=x`."""
    first, *names = override.key_or_group.split(".")
    if first != "hydra" or not names or override.is_delete() or isinstance(override.value(), dict):
        return
    if len(names) == 1 and names[0] in loader.list_groups("hydra"):
        group, value = f"hydra/{names[0]}", values(override)[0]
        options = loader.get_group_options(group)
        there = [name for name in options if nearest(value, [name])]
        meant = value if value in options else nearest(value, there).removeprefix(" Did you mean ").rstrip("?")
        written = f"{group}={meant}" if meant else alternatives(f"{group}={name}" for name in options)
        raise ConfigError(f"{line(override)}: an option is chosen with a slash; write {written}.")
    node = OmegaConf.structured(HydraConf)
    for name in names:
        node = node._get_node(name, validate_access=False) if isinstance(node, DictConfig) else None
    if isinstance(node, DictConfig):
        inner = next(map(str, node), "NAME")
        raise ConfigError(f"{line(override)}: a group of keys, such as {override.key_or_group}.{inner}.")


def refuse_unused(overrides: Iterable[Override], hydra: DictConfig, sweep: bool) -> None:
    """Raises ConfigError for a key of Hydra's that does nothing in a run or sweep which our own code makes.

    Args:
        hydra: Hydra's part of the configuration. An interpolation may name other keys than those of `USED`.
    """
    root = OmegaConf.to_container(hydra._get_root())
    assert isinstance(root, dict)
    part = root.pop("hydra")
    texts = [
        root,
        part["run"],
        part["sweep"]["dir"],
        part["launcher"],
        part["sweeper"],
        part["job"],
        [*map(line, overrides)],
    ]
    for override in overrides:
        key = override.key_or_group
        here = key if key != "hydra.sweep.dir" or sweep else ""
        named = re.search(rf"\$\{{hydra[.:]{re.escape(key.removeprefix('hydra.'))}\b", str(texts))
        if not key.startswith("hydra.") or named or any(f"{here}.".startswith(f"{used}.") for used in USED):
            continue
        jobs = "a job's folder is named by what differs, the sweep's by sweep.name="
        raise ConfigError(
            f"{line(override)}: has no effect here; {jobs if sweep else 'the folder of a run is hydra.run.dir='}."
        )


def _home(above: str, name: str, loader: ConfigLoader) -> str:
    """The options of a group such as hydra.launcher that have a key of this name."""
    group = above.replace(".", "/")
    if group not in (f"hydra/{known}" for known in loader.list_groups("hydra")):
        return ""
    homes = []
    for option in loader.get_group_options(group):
        with suppress(HydraException, OmegaConfBaseException):
            node = loader.load_configuration("config", [f"{group}={option}"], run_mode=RunMode.RUN)
            part = OmegaConf.select(node, above)
            homes += [f"{group}={option}"] if isinstance(part, DictConfig) and name in part else []
    return f" It belongs to {alternatives(homes)}." if homes else ""


def _check(override: Override, node: DictConfig, loader: ConfigLoader) -> None:
    above, part = "hydra", node.hydra
    for name in override.key_or_group.split(".")[1:]:
        if not isinstance(part, DictConfig):
            return
        if name not in part:
            known = [f"{above}.{key}" for key in map(str, part) if key != "_target_"]
            option = node.hydra.runtime.choices.get(above.replace(".", "/"))
            where = f"{above.replace('.', '/')}={option}" if option else above
            listed = f" Its keys: {', '.join(known) or 'none'}." if len(known) <= LISTED else ""
            near = _home(above, name, loader) or nearest_key(name, known)
            raise ConfigError(f"{line(override)}: {where} has no such key.{near}{listed}")
        above, part = f"{above}.{name}", part._get_node(name)
