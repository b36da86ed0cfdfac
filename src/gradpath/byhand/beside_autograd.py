"""Compares what is written out with autograd. No other file of this room uses autograd."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradpath.byhand.chain import Chain
from gradpath.byhand.derivatives import Activation
from gradpath.byhand.given import Loss
from gradpath.byhand.layers import Elementwise
from gradpath.byhand.losses import of_objective
from gradpath.byhand.network import by_hand, written_out
from gradpath.byhand.paths import paths
from gradpath.byhand.two_layer import TwoLayer
from gradpath.data.batch import Batch
from gradpath.model.network import MLP
from gradpath.model.objective import Objective


@dataclass(frozen=True)
class Row:
    """One gradient. hand, autograd: its Euclidean norm, both ways. difference: the largest difference of an entry."""

    name: str
    formula: str
    shape: tuple[int, ...]
    hand: float
    autograd: float
    difference: float


@dataclass(frozen=True)
class Comparison:
    """A network's forward and backward pass beside autograd's.

    values: of each operation, forward. gradients: of each intermediate, in the order of the backward pass. parameters: of
    each parameter. losses: by hand, by torch; loss: its formula, of outputs z and targets y. activations: each that it has,
    once. computed: of each operation, the times that it was asked for a gradient. entries: of all intermediates together;
    paths: from them to the loss.
    """

    values: list[Row]
    gradients: list[Row]
    parameters: list[Row]
    losses: tuple[float, float]
    loss: str
    activations: Sequence[Activation]
    computed: Mapping[str, int]
    entries: int
    paths: int

    @property
    def largest(self) -> float:
        """The largest difference between the two ways, over all numbers."""
        rows = [*self.values, *self.gradients, *self.parameters]
        return max(abs(self.losses[0] - self.losses[1]), *(row.difference for row in rows))


def compare(network: MLP, objective: Objective, batch: Batch) -> Comparison:
    """Compares a float64 network in training mode with autograd, on a batch.

    Raises:
        ConfigError: a part for which nothing is written out.
    """
    hand = written_out(network)
    written = of_objective(objective)
    ours = by_hand(hand, written, *batch)
    loss, theirs, grads = _autograd(network, objective, batch, list(ours.values))
    formulas = {"x0": ("inputs", ""), **{o.name: (o.formula, o.derivative) for o in hand.operations}}
    above = dict(zip(ours.values, [o.derivative for o in hand.operations], strict=False))
    above[list(ours.values)[-1]] = written.derivative
    pairs = zip(hand.places, hand.operations, strict=True)
    how = {f"{place}.{name}": formula for place, operation in pairs for name, formula in operation.formulas.items()}
    values = [_row(name, formulas[name][0], value, theirs[name]) for name, value in ours.values.items()]
    gradients = [_row(f"dL/d{name}", above[name], value, grads[name]) for name, value in ours.gradients.items()]
    parameters = [
        _row(name, how[name], ours.parameters[name], _grad(parameter))
        for name, parameter in network.named_parameters()
        if name in ours.parameters
    ]
    shapes = [(len(value), value.shape[1]) for value in ours.values.values()]
    sizes = [prod(shape) for shape in shapes]
    walked = sum(size * count for size, count in zip(sizes, paths(hand.operations, shapes), strict=True))
    activations = {o.activation.name: o.activation for o in hand.operations if isinstance(o, Elementwise)}
    return Comparison(
        values,
        gradients,
        parameters,
        (ours.loss, loss),
        f"{written.formula}, z = {list(ours.values)[-1]}",
        list(activations.values()),
        ours.computed,
        sum(sizes),
        walked,
    )


def chain_by_autograd(given: Chain, activation: nn.Module) -> dict[str, float]:
    """Computes every line of the chain's worksheet by autograd."""
    v = _leaves(vars(given))
    z1 = v["w1"] * v["x"] + v["b1"]
    a1 = activation(z1)
    z2 = v["w2"] * a1 + v["b2"]
    loss = 0.5 * (z2 - v["y"]) ** 2
    found = _lines(loss, {"z1": z1, "a1": a1, "z2": z2}, {name: v[name] for name in ("w1", "b1", "w2", "b2")})
    return found | {"da1/dz1": _slope(activation, z1)}


def two_layer_by_autograd(given: TwoLayer, activation: nn.Module, loss: Loss) -> dict[str, float]:
    """Computes every line of the 2-2-1 network's worksheet by autograd, with torch's own loss."""
    v = _leaves(vars(given))
    z1 = v["w11"] * v["x1"] + v["w12"] * v["x2"] + v["b1"]
    z2 = v["w21"] * v["x1"] + v["w22"] * v["x2"] + v["b2"]
    a1, a2 = activation(z1), activation(z2)
    z = v["v1"] * a1 + v["v2"] * a2 + v["c"]
    inside = {"z1": z1, "z2": z2, "a1": a1, "a2": a2, "z": z}
    weights = {name: value for name, value in v.items() if name not in ("x1", "x2", "y")}
    if loss == "mse":
        found = _lines(0.5 * F.mse_loss(z, v["y"]), inside, weights)
    else:
        found = _lines(F.binary_cross_entropy_with_logits(z, v["y"]), inside, weights) | {"p": torch.sigmoid(z).item()}
    slopes = {"da1/dz1": _slope(activation, z1), "da2/dz2": _slope(activation, z2)}
    return found | slopes | {"dL/dz * dz/da1 * da1/dz1 * dz1/dw11": found["dL/dw11"]}


def _slope(activation: nn.Module, at: Tensor) -> float:
    """phi' at this point."""
    h = at.detach().requires_grad_()
    (slope,) = torch.autograd.grad(activation(h), h)
    return float(slope)


def _autograd(
    network: MLP, objective: Objective, batch: Batch, names: Sequence[str]
) -> tuple[float, dict[str, Tensor], dict[str, Tensor]]:
    """The loss, the value of each intermediate and its gradient; the parameters' in their `grad`."""
    network.zero_grad()
    values = [batch.inputs.detach().flatten(1).requires_grad_()]
    modules = [part for block in network.blocks for part in block.children()]
    if not isinstance(network.output, nn.Identity):
        modules.append(network.output)
    for module in modules:
        values.append(module(values[-1]))
        values[-1].retain_grad()
    loss = objective.loss(values[-1], batch.targets)
    loss.backward()  # type: ignore[no-untyped-call]
    return (
        loss.item(),
        dict(zip(names, [value.detach() for value in values], strict=True)),
        dict(zip(names, [_grad(value) for value in values], strict=True)),
    )


def _row(name: str, formula: str, ours: Tensor, theirs: Tensor) -> Row:
    difference = (ours - theirs).abs().max().item()
    return Row(name, formula, tuple(ours.shape), ours.norm().item(), theirs.norm().item(), difference)


def _leaves(given: Mapping[str, float]) -> dict[str, Tensor]:
    return {name: torch.tensor(value, dtype=torch.float64, requires_grad=True) for name, value in given.items()}


def _lines(loss: Tensor, inside: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> dict[str, float]:
    asked = {**inside, **weights}
    found = torch.autograd.grad(loss, list(asked.values()))
    gradients = {f"dL/d{name}": grad.item() for name, grad in zip(asked, found, strict=True)}
    return {"L": loss.item(), **{name: value.item() for name, value in inside.items()}, **gradients}


def _grad(tensor: Tensor) -> Tensor:
    assert tensor.grad is not None
    return tensor.grad
