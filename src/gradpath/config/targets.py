"""Looks up what `_target_` in an option file names, and checks what it is before it is called.

A prefix such as `torch.` would let `torch.hub.load` in. docs/security.md says what is promised.
"""

import inspect
import sys
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any, TypeVar

import torch
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from gradpath.activations import Function
from gradpath.config.checks import PROJECT
from gradpath.config.renamed_targets import current
from gradpath.config.target_names import PLACES, own_packages
from gradpath.errors import ConfigError, first_line, nearest

T = TypeVar("T")

# Torch's functions on tensors. They compute, and neither run code nor write files, except for `from_file`. What `empty_like`
# returns is left over in memory.
OPERATIONS = (torch._C._VariableFunctions, torch._C._nn, torch._C._special)  # type: ignore[attr-defined]


def resolve(key: str, node: Mapping[str, Any]) -> Callable[..., Any]:
    """The class or function that `node["_target_"]` names, with the node's other keys bound.

    Args:
        key: the node's place in the configuration: a group, or `norm.layer`.

    Raises:
        ConfigError: the name does not exist, or names something else than belongs there. Nothing has been called. (Whether
            the name is from an allowed package has been found out by `target_names.check_name`, and is again here.)
    """
    name = current(str(node["_target_"]))
    own = tuple(f"{package}." for package in own_packages())
    trusted = name.startswith(own)
    if not trusted and not name.startswith(PLACES[key].modules):
        raise ConfigError(f"{key}._target_={name}: must be {PLACES[key].what}.")
    found = _locate(key, name)
    defined_in = f"{getattr(found, '__module__', None)}."
    if not (callable(found) and defined_in.startswith(own) if trusted else _belongs(key, found)):
        raise ConfigError(f"{key}._target_={name}: must be {PLACES[key].what}.")
    return partial(found, **{option: value for option, value in node.items() if option != "_target_"})


def make(key: str, kind: type[T], build: Callable[..., Any], *arguments: Any) -> T:
    """Returns `build(*arguments)`. Raises ConfigError if `build` fails, whatever it raises, or does not return a `kind`."""
    try:
        built = build(*arguments)
    except ConfigError:
        raise
    except SystemExit as error:
        raise ConfigError(f"{key}: its code called sys.exit({error.code!r}).") from None
    except (TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise ConfigError(f"{key}: {first_line(error)}.") from None
    except Exception as error:
        raise ConfigError(f"{key}: {type(error).__name__}: {first_line(error)}.") from None
    if not isinstance(built, kind):
        raise ConfigError(f"{key}: gives a {type(built).__name__}, must give a {kind.__name__}.")
    return built


def activation(node: Mapping[str, Any]) -> Callable[[], nn.Module]:
    """A function that makes activation modules. The target is a module class or a function on tensors."""
    build, name = resolve("activation", node), str(node["_target_"])
    if isinstance(build.func, type):  # type: ignore[attr-defined]
        _check_elementwise(name, make("activation", nn.Module, build).eval())
        return build
    _check_elementwise(name, build)
    return lambda: Function(build, name)


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
    return activation({str(key): value for key, value in node.items()})()


def _check_elementwise(name: str, phi: Callable[[Tensor], Tensor]) -> None:
    """Raises ConfigError unless each output is computed from the input at the same place, and from nothing else."""
    h = torch.linspace(-1.0, 1.5, 12).reshape(3, 4)
    moved = h.clone()
    moved[0, 0] = 0.75
    with torch.random.fork_rng(devices=[]), torch.no_grad(), warnings.catch_warnings():
        # Softmax warns of the dimension that it was not given; it is refused anyhow.
        warnings.simplefilter("ignore")
        try:
            first, second = (make("activation", Tensor, phi, inputs) for inputs in (h, moved))
        except ConfigError as error:
            fits_its_width = isinstance(phi, nn.Module) and any(parameter.numel() > 1 for parameter in phi.parameters())
            if fits_its_width and not isinstance(error.__context__, TypeError):
                # It has a parameter for each unit, and fits layers of that width only. (A TypeError: it takes more inputs.)
                return
            raise
    if first.shape != h.shape or not first.is_floating_point():
        made = f"{tuple(first.shape)} of {str(first.dtype).removeprefix('torch.')}"
        raise ConfigError(f"activation: {name} makes {made} from (3, 4) of float32; it must be element-wise.")
    if not torch.equal(first.flatten()[1:].nan_to_num(), second.flatten()[1:].nan_to_num()):
        raise ConfigError(f"activation: {name} mixes the units of a layer, or is random; it must be element-wise.")


def _belongs(key: str, found: Any) -> bool:
    """Whether a target of torch or gradpath is what a group may name."""
    home, ours = str(getattr(found, "__module__", "")), inspect.isfunction(found) or inspect.isclass(found)
    if home.startswith("gradpath."):
        return ours and f"{home}.".startswith(PLACES[key].modules) and not found.__name__.startswith("_")
    if key == "activation" and not inspect.isclass(found):
        return _is_operation(found)
    base, module = {
        "activation": (nn.Module, "torch.nn."),
        "norm.layer": (nn.Module, "torch.nn."),
        "loss": (nn.Module, "torch.nn."),
        "optimizer": (Optimizer, "torch.optim."),
        "schedule": (LRScheduler, "torch.optim."),
    }.get(key, (None, ""))
    return base is not None and inspect.isclass(found) and issubclass(found, base) and f"{home}.".startswith(module)


def _is_operation(found: Any) -> bool:
    if inspect.isfunction(found):
        return found.__module__ == "torch.nn.functional"
    name = getattr(found, "__name__", "")
    if name in ("from_file", "empty_like") or not inspect.isbuiltin(found):
        return False
    return any(getattr(operations, name, None) == found for operations in OPERATIONS)


def _locate(key: str, name: str) -> Any:
    """Imports the longest prefix of a dotted name that is a module; looks up the rest as attributes.

    Of torch nothing more is imported than `import torch` does: importing runs a module's code.
    """
    parts = name.split(".")
    own = parts[0] in own_packages()
    if own and str(PROJECT) not in sys.path:
        # Packages beside train.py are found by the scripts in scripts/ too. At the end, the project hides no package.
        sys.path.append(str(PROJECT))
    for cut in [1] if parts[0] == "torch" and not own else range(len(parts) - 1, 0, -1):
        try:
            found: Any = import_module(".".join(parts[:cut]))
        except ModuleNotFoundError as error:
            if error.name and name.startswith(error.name):
                continue
            raise ConfigError(f"{key}._target_={name}: {'.'.join(parts[:cut])} needs {error.name}.") from None
        for part in parts[cut:]:
            if not hasattr(found, part):
                raise ConfigError(f"{key}._target_={name}: {getattr(found, '__name__', parts[0])} has no {part}.")
            found = getattr(found, part)
        return found
    raise ConfigError(f"{key}._target_={name}: there is no module {parts[0]}.")
