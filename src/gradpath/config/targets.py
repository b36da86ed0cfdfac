"""Looks up the object that `_target_` in an option file names."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import Any, TypeVar

import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from gradpath.activations import Function
from gradpath.config.checks import PROJECT
from gradpath.config.renamed_targets import current
from gradpath.errors import ConfigError, nearest

T = TypeVar("T")


def resolve(key: str, node: Mapping[str, Any], allowed: Sequence[str]) -> Callable[..., Any]:
    """The class or function that `node["_target_"]` names, with the node's other keys bound.

    Args:
        key: the node's place in the configuration, for error messages.
        allowed: the module that defines the target must start with one of these prefixes. A module that merely imports
            `os` does not make `os.system` a target. (`checks.check` compares the target's own name with them.)

    Raises:
        ConfigError: the name does not exist, or is not a class or function of `allowed`.
    """
    name = current(str(node["_target_"]))
    found = _locate(key, name)
    home = f"{getattr(found, '__module__', None) or 'torch._C'}."
    if not callable(found) or not home.startswith(tuple(allowed)):
        raise ConfigError(f"{key}._target_={name}: not a class or function of {', '.join(allowed)}.")
    return partial(found, **{option: value for option, value in node.items() if option != "_target_"})


def make(key: str, kind: type[T], build: Callable[..., Any], *arguments: Any) -> T:
    """Returns `build(*arguments)`. Raises ConfigError if `build` rejects its keys or does not return a `kind`."""
    try:
        built = build(*arguments)
    except ConfigError:
        raise
    except (TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise ConfigError(f"{key}: {_first_line(error)}.") from None
    if not isinstance(built, kind):
        raise ConfigError(f"{key}: gives a {type(built).__name__}, must give a {kind.__name__}.")
    return built


def activation(node: Mapping[str, Any], allowed: Sequence[str]) -> Callable[[], nn.Module]:
    """A function that makes activation modules. The target is a module class or a function on tensors."""
    build = resolve("activation", node, allowed)
    if isinstance(build.func, type):  # type: ignore[attr-defined]
        make("activation", nn.Module, build)
        return build
    make("activation", Tensor, build, torch.zeros(2, 3))
    return lambda: Function(build, str(node["_target_"]))


def activation_named(option: str) -> nn.Module:
    """Makes the activation of an option in the `activation` group.

    Raises:
        ConfigError: there is no such option.
    """
    folder = PROJECT / "conf" / "activation"
    options = sorted(path.stem for path in folder.glob("*.yaml"))
    if option not in options:
        raise ConfigError(f"activation={option}: no such option.{nearest(option, options)} There are {', '.join(options)}.")
    node = OmegaConf.to_container(OmegaConf.load(folder / f"{option}.yaml"))
    assert isinstance(node, dict)
    return activation({str(key): value for key, value in node.items()}, ("torch.", "gradpath."))()


def _locate(key: str, name: str) -> Any:
    """Imports the longest prefix of a dotted name that is a module; looks up the rest as attributes."""
    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            found: Any = import_module(".".join(parts[:cut]))
        except ModuleNotFoundError as error:
            if error.name and name.startswith(error.name):
                continue
            raise
        for part in parts[cut:]:
            if not hasattr(found, part):
                raise ConfigError(f"{key}._target_={name}: {found.__name__} has no {part}.")
            found = getattr(found, part)
        return found
    raise ConfigError(f"{key}._target_={name}: there is no module {parts[0]}.")


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
