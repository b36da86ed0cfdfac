"""Many networks of one architecture as one: each layer is a batched product over the runs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradpath.flow.saturation import NOT_ELEMENTWISE, is_activation
from gradpath.model.network import MLP

Layout = Callable[[Tensor], Tensor]
Layouts = Mapping[str, Layout]
# Is called with the name and the output of each part.
Watch = Callable[[str, Tensor], None]


def _row(values: Tensor) -> Tensor:
    return values[0]


class StackError(ValueError):
    """These networks cannot be trained as one; the message says why."""


class StackedLinear(nn.Module):
    """h_r = x_r W_r^T + b_r for every run r.

    Shapes: x (runs, batch, in); `weight` (runs, in, out), the transpose of `nn.Linear`'s; `bias` (runs, 1, out).
    """

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.stack([layer.weight.detach().t() for layer in layers]).contiguous())
        self.bias = nn.Parameter(torch.stack([layer.bias.detach()[None] for layer in layers]))

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weight)

    # How an ordinary layer has each of them, of one run.
    layouts: ClassVar[Layouts] = {"weight": Tensor.t, "bias": _row}


class StackedBatchNorm(nn.Module):
    """BatchNorm of every run by its own batch: runs are folded into the channels, so it is torch's own, statistics included.

    Shapes: x (runs, batch, width); parameters and statistics (runs, width).
    """

    weight: nn.Parameter | None
    bias: nn.Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(self, layers: Sequence[nn.BatchNorm1d]) -> None:
        super().__init__()
        self.eps, self.momentum = layers[0].eps, layers[0].momentum or 0.0
        for name in ("weight", "bias"):
            self.register_parameter(name, _stacked_parameter([getattr(layer, name) for layer in layers]))
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            values = [getattr(layer, name) for layer in layers]
            self.register_buffer(name, None if values[0] is None else torch.stack(values).clone())

    def forward(self, x: Tensor) -> Tensor:
        runs, batch, width = x.shape
        counted = self.running_mean is not None
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        out = F.batch_norm(
            x.transpose(0, 1).reshape(batch, runs * width),
            _flat(self.running_mean),
            _flat(self.running_var),
            _flat(self.weight),
            _flat(self.bias),
            training=self.training or not counted,
            momentum=self.momentum,
            eps=self.eps,
        )
        return out.view(batch, runs, width).transpose(0, 1)

    layouts: ClassVar[Layouts] = {}


class StackedLayerNorm(nn.Module):
    """LayerNorm over the last dimension, with parameters (runs, 1, width)."""

    weight: nn.Parameter | None
    bias: nn.Parameter | None

    def __init__(self, layers: Sequence[nn.LayerNorm]) -> None:
        super().__init__()
        self.width, self.eps = layers[0].normalized_shape, layers[0].eps
        for name in ("weight", "bias"):
            values = [getattr(layer, name) for layer in layers]
            self.register_parameter(name, _stacked_parameter([None if v is None else v.detach()[None] for v in values]))

    def forward(self, x: Tensor) -> Tensor:
        x = F.layer_norm(x, self.width, eps=self.eps)
        if self.weight is not None:
            x = x * self.weight
        return x if self.bias is None else x + self.bias

    layouts: ClassVar[Layouts] = {"weight": _row, "bias": _row}


class Stack(nn.Module):
    """Equal networks as one. Run r computes with the weights of the r-th network, to which nothing is done.

    Shapes: x (runs, batch, in_features) -> (runs, batch, out_features).

    Args:
        networks: they may differ in their weights only.

    Raises:
        StackError: they differ in more, or have a part that cannot be stacked.
    """

    def __init__(self, networks: Sequence[MLP]) -> None:
        super().__init__()
        check_equal(networks)
        self.runs = len(networks)
        self.parts: dict[str, nn.Module] = {}
        for index in range(len(networks[0].blocks)):
            for name, _ in networks[0].blocks[index].named_children():
                same = [network.blocks[index].get_submodule(name) for network in networks]
                self._take(f"blocks.{index}.{name}", _stacked(same))
        output = networks[0].output
        # Its classes are the last dimension, of two for a network and of three here.
        self._take("output", nn.Softmax(-1) if isinstance(output, nn.Softmax) else output)

    def _take(self, name: str, part: nn.Module) -> None:
        self.parts[name] = part
        self.add_module(name.replace(".", "_"), part)

    def forward(self, x: Tensor, watch: Watch | None = None) -> Tensor:
        """The outputs of all runs. `watch` is called with the name and the output of each part."""
        for name, part in self.parts.items():
            x = part(x)
            if watch:
                watch(name, x)
        return x

    def state_of(self, run: int) -> dict[str, Tensor]:
        """The state_dict of a run's network, as views."""
        found: dict[str, Tensor] = {}
        for name, part in self.parts.items():
            own = [*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)]
            found |= {f"{name}.{key}": _layout(part, key)(value.detach()[run]) for key, value in own}
        return found

    @property
    def layouts(self) -> list[Layout]:
        """For each parameter, in order: from its values of one run to the shape in which a network has them."""
        return [_layout(part, key) for part in self.parts.values() for key, _ in part.named_parameters(recurse=False)]

    @property
    def linears(self) -> list[StackedLinear]:
        return [part for part in self.parts.values() if isinstance(part, StackedLinear)]

    @property
    def linear_names(self) -> list[str]:
        return [name for name, part in self.parts.items() if isinstance(part, StackedLinear)]

    @property
    def activations(self) -> list[tuple[str, nn.Module]]:
        """The names of the activations and the modules."""
        return [(name, part) for name, part in self.parts.items() if name.endswith(".activation")]


def check_equal(networks: Sequence[MLP]) -> None:
    """Raises StackError unless the networks differ in their weights only, and all of their parts can be stacked."""
    if not networks:
        raise StackError("there is no network")
    first = [*_described(networks[0])]
    for network in networks[1:]:
        if len(network.blocks) != len(networks[0].blocks):
            raise StackError("the networks differ in depth")
        for one, other in zip(first, _described(network), strict=True):
            if one != other:
                raise StackError(f"{one[0]} differs: {one[1]} and {other[1]}")
    for network in networks:
        for name, part in network.named_modules():
            why = obstacle(part) if name and not [*part.children()] else None
            if why:
                raise StackError(f"{name}: {why}")


def obstacle(part: nn.Module) -> str | None:
    """Why a part of a network cannot be stacked; None if it can."""
    if any(not parameter.requires_grad for parameter in part.parameters()):
        return "frozen weights"
    if type(part) is nn.Linear:
        return "no bias" if part.bias is None else None
    if type(part) is nn.LayerNorm:
        return None
    if type(part) is nn.BatchNorm1d:
        return "BatchNorm with a cumulative average" if part.momentum is None else None
    if next(part.parameters(), None) is not None or next(part.buffers(), None) is not None:
        return f"{type(part).__name__} has weights of its own"
    if type(part) in (nn.Identity, nn.Softmax):
        return None
    known = type(part).__module__.startswith(("torch.nn.", "gradpath."))
    if known and is_activation(part) and not isinstance(part, (*NOT_ELEMENTWISE, nn.RReLU)):
        return None
    return f"{type(part).__name__} may mix the runs, or be random"


def _described(network: MLP) -> Iterator[tuple[str, Any]]:
    for name, part in network.named_modules():
        if name and not [*part.children()]:
            yield name, f"{type(part).__name__}({part.extra_repr()})"
    yield "dtype", str(next(network.parameters()).dtype)


def _stacked(parts: Sequence[nn.Module]) -> nn.Module:
    if isinstance(parts[0], nn.Linear):
        return StackedLinear(parts)  # type: ignore[arg-type]
    if isinstance(parts[0], nn.BatchNorm1d):
        return StackedBatchNorm(parts)  # type: ignore[arg-type]
    if isinstance(parts[0], nn.LayerNorm):
        return StackedLayerNorm(parts)  # type: ignore[arg-type]
    return parts[0]


def _stacked_parameter(values: Sequence[Tensor | None]) -> nn.Parameter | None:
    if values[0] is None:
        return None
    return nn.Parameter(torch.stack([value.detach() for value in values if value is not None]).clone())


def _flat(values: Tensor | None) -> Tensor | None:
    return None if values is None else values.view(-1)


def _layout(part: nn.Module, name: str) -> Layout:
    layouts: Layouts = getattr(part, "layouts", {})
    return layouts.get(name, _as_it_is)


def _as_it_is(values: Tensor) -> Tensor:
    return values
