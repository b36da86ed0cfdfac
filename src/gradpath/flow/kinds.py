"""Layers: the modules that have weights, whatever their kind, and what a measurement must know about each.

A layer is a module of one of the `KINDS`, or any other module that owns a parameter of two or more dimensions and has no
children. Normalisations are none, and neither are lists of parameters: nobody calls them. A parameter that functions use
stands by itself, without an output.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import ParametrizationList, is_parametrized
from torch.nn.utils.rnn import PackedSequence

from gradpath.flow.private_torch import BATCH_NORMS, CONVOLUTIONS

NO_LAYERS = (BATCH_NORMS, nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, nn.ParameterList, nn.ParameterDict, ParametrizationList)


class Sizes(NamedTuple):
    """Numbers that a layer's formulas need; None where only its author knows.

    units: features or channels of its output. unit_dim: the dimension of the output on which they lie, from the end.
    fan_in: terms in the sum that makes one entry of the output, away from borders, and on average where a stride lets it
    differ from entry to entry. fan_out: entries of the output in which one entry of the input is such a term.
    """

    units: int | None
    unit_dim: int
    fan_in: float | None
    fan_out: float | None


@dataclass(frozen=True, eq=False)
class Layer:
    """A module with weights.

    name: as in `named_modules`. kind: one of `KINDS`, "other", or "parameter", which has no output.
    weights, biases: attributes of the module (`weight`, `out_proj.weight`), each with the parameters from which it is
    computed: a parametrised weight has others than itself.
    """

    name: str
    module: nn.Module
    kind: str
    weights: Mapping[str, tuple[nn.Parameter, ...]]
    biases: Mapping[str, tuple[nn.Parameter, ...]]
    sizes: Sizes

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All parameters behind its weights and biases, each once."""
        found = [p for given in (self.weights, self.biases) for several in given.values() for p in several]
        return list({id(parameter): parameter for parameter in found}.values())

    @property
    def trains(self) -> bool:
        """Whether any of its parameters is to be trained now. A frozen layer takes no part in training."""
        # Asked at every call of the layer.
        return any(p.requires_grad for given in (self.weights, self.biases) for several in given.values() for p in several)


@dataclass(frozen=True)
class Coverage:
    """What of a model's trainable weights belongs to measured layers.

    share: of their entries; None if the model has none. missing: the names of the others.
    """

    share: float | None
    missing: tuple[str, ...]


def _linear(module: Any) -> Sizes:
    return Sizes(module.out_features, -1, module.in_features, module.out_features)


def _bilinear(module: Any) -> Sizes:
    return Sizes(module.out_features, -1, module.in1_features * module.in2_features, module.out_features)


def _convolution(module: Any) -> Sizes:
    taps, strides = prod(module.kernel_size), prod(module.stride)
    fan_in, fan_out = (channels // module.groups * taps for channels in (module.in_channels, module.out_channels))
    # A stride thins out the outputs of a convolution, and the inputs of a transposed one.
    if module.transposed:
        return Sizes(module.out_channels, -1 - len(module.kernel_size), fan_in / strides, fan_out)
    return Sizes(module.out_channels, -1 - len(module.kernel_size), fan_in, fan_out / strides)


def _embedding(module: Any) -> Sizes:
    """A lookup is a product with a vector that has a single one."""
    return Sizes(module.embedding_dim, -1, 1, module.embedding_dim)


def _attention(module: Any) -> Sizes:
    """The output is that of the last projection."""
    return Sizes(module.embed_dim, -1, module.embed_dim, module.embed_dim)


def _recurrent(module: Any) -> Sizes:
    """Of the last layer of a stack, at one time step: the sum is over its input and its state."""
    directions = 2 if module.bidirectional else 1
    state = module.proj_size or module.hidden_size
    below = module.input_size if module.num_layers == 1 else directions * state
    fan_in = module.hidden_size if module.proj_size else below + state
    return Sizes(directions * state, -1, fan_in, directions * state)


def _cell(module: Any) -> Sizes:
    return Sizes(module.hidden_size, -1, module.input_size + module.hidden_size, module.hidden_size)


# The first kind that fits counts.
KINDS: dict[str, tuple[type[nn.Module] | tuple[type[nn.Module], ...], Callable[[Any], Sizes]]] = {
    "linear": (nn.Linear, _linear),
    "bilinear": (nn.Bilinear, _bilinear),
    "convolution": (CONVOLUTIONS, _convolution),
    "embedding": ((nn.Embedding, nn.EmbeddingBag), _embedding),
    "attention": (nn.MultiheadAttention, _attention),
    "recurrent": (nn.RNNBase, _recurrent),
    "cell": (nn.RNNCellBase, _cell),
}


def layers(model: nn.Module) -> list[Layer]:
    """The layers of `model`, in the order of `named_modules`, frozen ones among them.

    A lazy module is a layer once it has seen a batch. Layers that share a weight are separate layers; a module that stands
    in the model twice is one.
    """
    return list(_layers(model, ""))


def layer_of(name: str, module: nn.Module) -> Layer | None:
    """The module as a layer; None if it is none, or has no shape yet."""
    kind = next((kind for kind, (types, _) in KINDS.items() if isinstance(module, types)), None)
    if kind is None and (
        isinstance(module, NO_LAYERS) or any(child != "parametrizations" for child, _ in module.named_children())
    ):
        return None
    found = dict(_parameters(module))
    if kind == "attention":
        found |= {f"out_proj.{attribute}": given for attribute, given in _parameters(module.get_submodule("out_proj"))}
    if any(is_lazy(parameter) for several in found.values() for parameter in several):
        return None
    biases = {attribute: several for attribute, several in found.items() if is_bias(attribute)}
    weights = {a: several for a, several in found.items() if a not in biases and any(p.ndim > 1 for p in several)}
    if not weights:
        return None
    sizes = KINDS[kind][1](module) if kind else Sizes(None, -1, None, None)
    return Layer(name, module, kind or "other", weights, biases, sizes)


def bare(model: nn.Module, known: Iterable[Layer]) -> list[Layer]:
    """The trainable weights that belong to none of the layers `known`, each with the module that owns it.

    Functions use them: embeddings of positions, weights of `F.linear`, lists of parameters.
    """
    of_layers = {id(parameter) for layer in known for parameter in layer.parameters}
    owners = dict(model.named_modules())
    found = []
    for name, parameter in _trainable_weights(model):
        if id(parameter) not in of_layers and not is_lazy(parameter):
            path, _, attribute = name.rpartition(".")
            sizes = Sizes(None, -1, None, None)
            found.append(Layer(name, owners[path], "parameter", {attribute: (parameter,)}, {}, sizes))
    return found


def is_scripted(module: nn.Module) -> bool:
    """Whether a module is TorchScript."""
    return isinstance(module, torch.jit.ScriptModule)


def unshaped(model: nn.Module) -> list[str]:
    """The names of the lazy modules that have not seen a batch yet, and have no shape."""
    return [
        name or type(module).__name__
        for name, module in model.named_modules()
        if any(is_lazy(parameter) for parameter in module.parameters(recurse=False))
    ]


def outputs_of(outputs: Any) -> list[Tensor]:
    """The tensors in what a `forward` returned through which a gradient can go. The first carries the layer's units.

    Of a packed sequence it is the data, (steps of all samples, features).
    """
    if isinstance(outputs, Tensor):
        return [outputs] if outputs.requires_grad else []
    if isinstance(outputs, PackedSequence):
        return outputs_of(outputs.data)
    if isinstance(outputs, Mapping):
        outputs = outputs.values()
    elif is_dataclass(outputs):
        outputs = [getattr(outputs, field.name) for field in fields(outputs)]
    elif not isinstance(outputs, tuple | list):
        return []
    return [found for one in outputs for found in outputs_of(one)]


def coverage(model: nn.Module, measured: Iterable[Layer]) -> Coverage:
    """Which of the trainable weights of `model` belong to the layers `measured`.

    Weights are parameters of two or more dimensions that are neither biases nor a normalisation's; a tied one counts once.
    One that has no shape yet is missing, and is left out of the share.
    """
    seen = {id(parameter) for layer in measured for parameter in layer.parameters}
    known = total = 0
    missing = []
    for name, parameter in _trainable_weights(model):
        size = 0 if is_lazy(parameter) else parameter.numel()
        total += size
        if id(parameter) in seen:
            known += size
        else:
            missing.append(name)
    return Coverage(known / total if total else None, tuple(missing))


def _layers(module: nn.Module, name: str, seen: set[nn.Module] | None = None) -> Iterator[Layer]:
    seen = set() if seen is None else seen
    if module in seen:
        return
    seen.add(module)
    if is_scripted(module):
        # Nobody is told of the calls inside it.
        return
    layer = layer_of(name, module)
    if layer:
        yield layer
    if isinstance(module, nn.MultiheadAttention):
        # Its projection's weights are used without a call.
        return
    for part, child in module.named_children():
        if part != "parametrizations":
            yield from _layers(child, f"{name}.{part}" if name else part, seen)


def _parameters(module: nn.Module) -> Iterator[tuple[str, tuple[nn.Parameter, ...]]]:
    """The module's own attributes that are parameters or are computed from some, with those parameters."""
    if is_parametrized(module):
        for attribute, parametrization in module.get_submodule("parametrizations").named_children():
            yield attribute, tuple(parametrization.parameters())
    behind: dict[str, list[nn.Parameter]] = {}
    for attribute, parameter in module.named_parameters(recurse=False):
        behind.setdefault(_made_of(module, attribute), []).append(parameter)
    for attribute, several in behind.items():
        yield attribute, tuple(several)


def _made_of(module: nn.Module, attribute: str) -> str:
    """The attribute that is computed from a parameter before each call.

    `torch.nn.utils.spectral_norm` and `prune` keep `weight_orig`, `weight_norm` keeps `weight_g` and `weight_v`. What they
    compute is a plain attribute.
    """
    base, _, ending = attribute.rpartition("_")
    return base if ending in ("orig", "g", "v") and isinstance(vars(module).get(base), Tensor) else attribute


def is_bias(attribute: str) -> bool:
    return "bias" in attribute.rpartition(".")[2]


def _trainable_weights(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    normalisations = {id(p) for m in model.modules() if isinstance(m, NO_LAYERS[:4]) for p in m.parameters(recurse=False)}
    for name, parameter in model.named_parameters():
        large = is_lazy(parameter) or parameter.ndim > 1
        if parameter.requires_grad and large and not is_bias(name) and id(parameter) not in normalisations:
            yield name, parameter
