"""Looks up what `_target_` in an option file names, and checks what it is before it is called.

A prefix such as `torch.` would let `torch.hub.load` in. docs/security.md says what is promised.
"""

import re
import sys
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from inspect import Parameter, Signature, isbuiltin, isclass, isfunction, signature
from typing import Any, TypeVar

import torch
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.nn.modules.lazy import LazyModuleMixin
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from gradpath.activations import Function
from gradpath.config.checks import PROJECT
from gradpath.config.renamed_targets import current
from gradpath.config.target_names import PLACES, own_packages
from gradpath.errors import ConfigError, in_one_line, nearest, text_of

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
    options = {option: value for option, value in node.items() if option != "_target_"}
    if isclass(found) and not trusted:
        _check_words(key, found, options)
    return partial(found, **options)


def _check_words(key: str, found: type, options: Mapping[str, Any]) -> None:
    """Raises ConfigError for a word where torch does not say that it takes one. It may take a word's letters for a list."""
    for name, parameter in signature(found).parameters.items():
        kind, value = parameter.annotation, options.get(name)
        wanted = kind if isinstance(kind, str) else getattr(kind, "__name__", str(kind))
        if isinstance(value, str) and kind is not Parameter.empty and not re.search("str|Literal|Any", str(kind)):
            raise ConfigError(f"{key}.{name}={value}: must be {wanted}, as {found.__name__} says.")


def make(key: str, kind: type[T], build: Callable[..., Any], *arguments: Any) -> T:
    """Returns `build(*arguments)`. Raises ConfigError if `build` fails, whatever it raises, or does not return a `kind`."""
    try:
        built = build(*arguments)
    except (ConfigError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise ConfigError(f"{key}: {what_failed(error)}.") from None
    if not isinstance(built, kind):
        raise ConfigError(f"{key}: gives a {type(built).__name__}, must give a {kind.__name__}.")
    return built


def what_failed(error: BaseException) -> str:
    """What an exception of a user's code, or of a library, says, in one line without a full stop."""
    if isinstance(error, SystemExit):
        return f"its code called sys.exit({error.code!r})"
    kind = "" if isinstance(error, TypeError | ValueError | AttributeError | RuntimeError) else f"{type(error).__name__}: "
    said = in_one_line(error)
    if asked := re.search(r"tried to allocate (\d+) bytes", text_of(error)):
        return f"it needs {int(asked[1]) / 1e9:.3g} GB of memory at once, which this machine does not have"
    return said if said == type(error).__name__ else kind + said


def normalisation(node: Mapping[str, Any]) -> Callable[[int], nn.Module]:
    """A function that makes the normalisation of a layer of a given width.

    Raises:
        ConfigError: the target does not take the width as its first argument, or the option sets it.
    """
    build, name = resolve("norm.layer", node), str(node["_target_"])
    target = build.func  # type: ignore[attr-defined]
    takes = next(iter(make("norm.layer", Signature, signature, target).parameters), "nothing")
    lazy, instance = (isclass(target) and issubclass(target, kind) for kind in (LazyModuleMixin, _InstanceNorm))
    if current(name).startswith("torch.") and (lazy or instance or takes not in ("num_features", "normalized_shape")):
        what = (
            "finds the width out only in training" if lazy else "normalises pictures" if instance else f"takes {takes} first"
        )
        raise ConfigError(f"norm.layer._target_={name}: {what}; it must take the width, as BatchNorm1d and LayerNorm do.")
    if takes in node:
        raise ConfigError(f"norm.layer.{takes}={node[takes]}: leave it out; it is the width of each layer.")
    return lambda width: make("norm.layer", nn.Module, build, width)


def activation(node: Mapping[str, Any]) -> Callable[[], nn.Module]:
    """A function that makes activation modules. The target is a module class or a function on tensors."""
    build, name = resolve("activation", node), str(node["_target_"])
    if isinstance(build.func, type):  # type: ignore[attr-defined]
        _check_elementwise(name, make("activation", nn.Module, build))
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
    """Raises ConfigError unless each output is computed from the input at the same place, and from nothing else.

    It must be so in training too, and let the gradient through.
    """
    h = torch.linspace(-1.0, 1.5, 12).reshape(3, 4)
    moved = h.clone()
    moved[0, 0] = 0.75
    with torch.random.fork_rng(devices=[]), torch.enable_grad(), warnings.catch_warnings():
        # Softmax warns of the dimension that it was not given; it is refused anyhow.
        warnings.simplefilter("ignore")
        before = torch.get_rng_state()
        try:
            first, second = (_applied(phi, inputs, training=False) for inputs in (h, moved))
        except ConfigError as error:
            fits_its_width = isinstance(phi, nn.Module) and any(parameter.numel() > 1 for parameter in phi.parameters())
            if fits_its_width and not isinstance(error.__context__, TypeError):
                # It has a parameter for each unit, and fits layers of that width only. (A TypeError: it takes more inputs.)
                return
            raise
        if first.shape != h.shape or first.dtype != h.dtype:
            made = f"{tuple(first.shape)} of {str(first.dtype).removeprefix('torch.')}"
            raise ConfigError(f"activation: {name} makes {made} from (3, 4) of float32; it must be element-wise.")
        trained = _applied(phi, h, training=True)
        _check_gradient(name, phi, h)
        drawn = not torch.equal(before, torch.get_rng_state())
    if drawn or not _same(first.flatten()[1:], second.flatten()[1:]):
        raise ConfigError(f"activation: {name} mixes the units of a layer, or is random; it must be element-wise.")
    if not _same(first, trained):
        raise ConfigError(f"activation: {name} does something else in training than in a test; it must be a fixed function.")


def _check_gradient(name: str, phi: Callable[[Tensor], Tensor], h: Tensor) -> None:
    """Raises ConfigError if no gradient comes back through an activation in training."""
    inputs = h.clone().requires_grad_()
    outputs = _applied(phi, inputs, training=True)
    if not outputs.requires_grad:
        raise ConfigError(f"activation: {name} cuts the gradient; nothing before it could learn.")
    make("activation", tuple, torch.autograd.grad, outputs.sum(), inputs)


def _applied(phi: Callable[[Tensor], Tensor], inputs: Tensor, training: bool) -> Tensor:
    if isinstance(phi, nn.Module):
        phi.train(training)
    # A copy, which an activation may overwrite.
    return make("activation", Tensor, phi, inputs.clone())


def _same(one: Tensor, other: Tensor) -> bool:
    return torch.equal(one.nan_to_num(), other.nan_to_num())


def _belongs(key: str, found: Any) -> bool:
    """Whether a target of torch or gradpath is what a group may name."""
    home, ours = str(getattr(found, "__module__", "")), isfunction(found) or isclass(found)
    if home.startswith("gradpath."):
        return ours and f"{home}.".startswith(PLACES[key].modules) and not found.__name__.startswith("_")
    if key == "activation" and not isclass(found):
        return _is_operation(found)
    base, module = {
        "activation": (nn.Module, "torch.nn."),
        "norm.layer": (nn.Module, "torch.nn."),
        "loss": (nn.Module, "torch.nn."),
        "optimizer": (Optimizer, "torch.optim."),
        "schedule": (LRScheduler, "torch.optim."),
    }.get(key, (None, ""))
    return base is not None and isclass(found) and issubclass(found, base) and f"{home}.".startswith(module)


def _is_operation(found: Any) -> bool:
    if isfunction(found):
        return found.__module__ == "torch.nn.functional"
    name = getattr(found, "__name__", "")
    if name in ("from_file", "empty_like") or not isbuiltin(found):
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
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            # A user's code may raise anything, and be no Python.
            said = what_failed(error)
            raise ConfigError(f"{key}._target_={name}: {'.'.join(parts[:cut])} cannot be imported: {said}.") from None
        for part in parts[cut:]:
            if not hasattr(found, part):
                near = nearest(part, [other for other in dir(found) if not other.startswith("_")])
                raise ConfigError(f"{key}._target_={name}: {getattr(found, '__name__', parts[0])} has no {part}.{near}")
            found = getattr(found, part)
        return found
    raise ConfigError(f"{key}._target_={name}: there is no module {parts[0]}.")
