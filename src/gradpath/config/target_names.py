"""Where a `_target_` may point, by name alone: nothing is imported, so a mistake is answered at once."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gradpath.config.renamed_targets import current
from gradpath.errors import ConfigError

# The environment variable in which a user names packages of their own: `export GRADPATH_PACKAGES=mylab,another`. It is no
# key of the configuration, because a saved run could then allow itself whatever it names.
OWN = "GRADPATH_PACKAGES"


@dataclass(frozen=True)
class Place:
    """What a group's `_target_` may name.

    what: in words.
    modules: the beginnings of its dotted name.
    """

    what: str
    modules: tuple[str, ...]


PLACES = {
    "data": Place("a function of gradpath.data", ("gradpath.data.",)),
    "activation": Place("a module of torch.nn, or a function of torch on tensors", ("torch.",)),
    "init": Place("a function of gradpath.model.initialization", ("gradpath.model.initialization.",)),
    "norm.layer": Place("a module of torch.nn", ("torch.nn.",)),
    "loss": Place("a module of torch.nn", ("torch.nn.",)),
    "optimizer": Place(
        "an optimiser of torch.optim or gradpath.model.optimizers", ("torch.optim.", "gradpath.model.optimizers.")
    ),
    "schedule": Place(
        "a schedule of gradpath.model.schedules or torch.optim.lr_scheduler",
        ("gradpath.model.schedules.", "torch.optim.lr_scheduler."),
    ),
}


def own_packages() -> tuple[str, ...]:
    """The packages that the user trusts.

    Raises:
        ConfigError: one of the names is no name of a package.
    """
    names = tuple(name.strip() for name in os.environ.get(OWN, "").split(",") if name.strip())
    for name in names:
        if not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise ConfigError(f"{OWN}={name}: must be names of packages, such as mylab,another.")
    return names


def check_names(config: Mapping[str, Any]) -> None:
    """Raises ConfigError if a group has no `_target_` but needs one, or one that may not be used there."""
    for key, place in PLACES.items():
        group, _, part = key.partition(".")
        node = config[group].get(part) if part else config[group]
        name = node.get("_target_") if isinstance(node, Mapping) else None
        if name is None:
            # Null stands for the loss that belongs to the task, as in loss=auto, which says so for all tasks.
            if node is None or (key == "loss" and "_target_" in node and "tasks" in node):
                continue
            raise ConfigError(f"{key}._target_: missing in the option's file; it names a class or function.")
        if not isinstance(name, str):
            raise ConfigError(f"{key}._target_={name}: must be {place.what}.")
        package = str(name).split(".")[0]
        if package in own_packages() or current(str(name)).startswith(place.modules):
            continue
        hint = (
            ""
            if package in ("torch", "gradpath") or not package.isidentifier()
            else f" If you trust the package {package}: export {OWN}={package}."
        )
        raise ConfigError(f"{key}._target_={name}: must be {place.what}.{hint}")


def check_environment(variables: Any) -> None:
    """Raises ConfigError if a configuration would set a variable that says whom the user trusts, or that cannot be set.

    Args:
        variables: `hydra.job.env_set`, resolved.
    """
    if not isinstance(variables, Mapping):
        return
    for name in map(str, variables):
        if name.startswith("GRADPATH_"):
            raise ConfigError(f"hydra.job.env_set: {OWN} is for you to set, in the shell.")
        if not name or "=" in name:
            raise ConfigError(f"hydra.job.env_set.{name}: no name of a variable; it must not be empty, or contain =.")


def check_texts(node: Any, place: str) -> None:
    """Raises ConfigError for a text with the character of code 0, which ends a text for the operating system.

    Args:
        place: the key of `node`; empty for the whole configuration.
    """
    if isinstance(node, str) and "\0" in node:
        raise ConfigError(f"{place}={node}: must not contain the character \\0.")
    for key, value in node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else ():
        check_texts(str(key), place)
        check_texts(value, f"{place}.{key}".lstrip("."))
