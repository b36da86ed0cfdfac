"""The whole configurable MLP, forward and backward, without autograd."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gradpath.byhand import derivatives
from gradpath.byhand.layers import Elementwise, Linear, Normalization, Operation, Softmax
from gradpath.byhand.losses import Loss
from gradpath.errors import ConfigError
from gradpath.model.network import MLP


@dataclass(frozen=True)
class Pass:
    """Forward and backward over one batch.

    values: the inputs "x0" and what every operation gives ("h1", "a1", ...), in topological order.
    gradients: dL/dvalue by the same names, in the order in which they were computed. parameters: dL/dparameter, by torch's
    names. computed: by operation, how often it was asked for the gradient of what it had been given.
    """

    loss: float
    values: dict[str, Tensor]
    gradients: dict[str, Tensor]
    parameters: dict[str, Tensor]
    computed: dict[str, int]


@dataclass(frozen=True)
class Network:
    """The operations of an MLP in order, with copies of its weights.

    places: torch's name of each operation's module ("blocks.0.linear").
    """

    operations: Sequence[Operation]
    places: Sequence[str]

    @property
    def parameters(self) -> dict[str, Tensor]:
        """The parameters by torch's names. Changing them in place changes the network."""
        pairs = zip(self.places, self.operations, strict=True)
        return {f"{place}.{name}": value for place, operation in pairs for name, value in operation.parameters.items()}


@torch.no_grad()
def by_hand(network: Network, loss: Loss, inputs: Tensor, targets: Tensor) -> Pass:
    """Runs every operation once, then computes every gradient once, in reverse topological order (Linnainmaa 1976).

    Args:
        inputs: (B, ...), flattened as the MLP does. targets: as `loss` takes them.
    """
    x = inputs.flatten(1)
    values = {"x0": x}
    for operation in network.operations:
        x = values[operation.name] = operation.forward(x)
    names = list(values)
    gradients = {names[-1]: loss.gradient(x, targets)}
    before = [operation.times for operation in network.operations]
    parameters: dict[str, Tensor] = {}
    for operation, place, given in reversed(list(zip(network.operations, network.places, names[:-1], strict=True))):
        gradients[given] = operation.backward(gradients[operation.name])
        parameters |= {f"{place}.{part}": value for part, value in operation.gradients.items()}
    computed = {o.name: o.times - times for o, times in zip(network.operations, before, strict=True)}
    return Pass(float(loss.value(x, targets)), values, gradients, parameters, computed)


def written_out(network: MLP) -> Network:
    """The operations of an MLP, with copies of its parameters.

    Names: x0 the inputs; h1, n1, a1 what the first block's linear layer, normalisation and activation give; p the outputs'
    sigmoid or softmax.

    Raises:
        ConfigError: a module for which nothing is written out.
    """
    operations: list[Operation] = []
    places: list[str] = []
    given = "x0"
    for index, block in enumerate(network.blocks, 1):
        for part, module in block.named_children():
            name = {"linear": "h", "activation": "a"}.get(part, "n") + str(index)
            operations.append(_operation(name, given, module))
            places.append(f"blocks.{index - 1}.{part}")
            given = name
    if not isinstance(network.output, nn.Identity):
        operations.append(_output("p", given, network.output))
        places.append("output")
    return Network(operations, places)


def _operation(name: str, given: str, module: nn.Module) -> Operation:
    match module:
        case nn.Linear():
            return Linear(name, given, _copy(module.weight), _copy(module.bias))
        case nn.BatchNorm1d(affine=True):
            return Normalization(name, given, _copy(module.weight), _copy(module.bias), module.eps, "batch")
        case nn.LayerNorm(elementwise_affine=True):
            return Normalization(name, given, _copy(module.weight), _copy(module.bias), module.eps, "layer")
        case nn.modules.batchnorm._BatchNorm() | nn.LayerNorm() | nn.RMSNorm():
            raise ConfigError(f"norm: nothing is written out for {module}; write it in byhand/layers.py.")
    return Elementwise(name, given, derivatives.of_module(module))


def _output(name: str, given: str, module: nn.Module) -> Operation:
    if isinstance(module, nn.Softmax):
        return Softmax(name, given)
    return Elementwise(name, given, derivatives.of_module(module))


def _copy(parameter: Tensor) -> Tensor:
    return parameter.detach().clone()
