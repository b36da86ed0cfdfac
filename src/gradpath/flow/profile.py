"""The per-layer table of a network on one batch, without training it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gradpath.data.memory import Batch
from gradpath.network import MLP, layer_name, variance
from gradpath.objective import Objective


@dataclass(frozen=True)
class LayerFlow:
    """One layer on one batch.

    delta: root mean square over samples of |dLoss_i/dh| of the layer, Loss_i the sample's own loss.
    q: mean square of the pre-activations. weight_grad_norm: |dLoss/dW|, Loss the batch's mean.
    """

    layer: str
    width: int
    sigma_w2: float
    sigma_b2: float
    q: float
    delta: float
    weight_grad_norm: float
    weight_norm: float


def measure(network: MLP, objective: Objective, batch: Batch) -> list[LayerFlow]:
    """The profile of `network` as it stands, first hidden layer first. Weights, gradients and statistics are left alone."""
    was_training, buffers = network.training, [b.clone() for b in network.buffers()]
    network.train()
    linears = network.linears
    seen: dict[int, Tensor] = {}
    hooks = [linear.register_forward_hook(lambda _m, _x, h, i=i: seen.__setitem__(i, h)) for i, linear in enumerate(linears)]
    try:
        with torch.enable_grad():
            loss = objective.loss(network(batch.inputs), batch.targets)
            h = [seen[i] for i in range(len(linears))]
            grads = torch.autograd.grad(loss, [*h, *(linear.weight for linear in linears)])
    finally:
        for hook in hooks:
            hook.remove()
        network.train(was_training)
        for buffer, value in zip(network.buffers(), buffers, strict=True):
            buffer.copy_(value)
    size = len(batch.inputs)
    return [
        LayerFlow(
            layer=layer_name(i, len(linears)),
            width=linear.out_features,
            sigma_w2=linear.in_features * variance(linear.weight),
            sigma_b2=variance(linear.bias),
            q=h[i].detach().double().square().mean().item(),
            # The mean loss carries 1 / batch into every sample's gradient; taken out again.
            delta=(grads[i].double() * size).square().sum(1).mean().sqrt().item(),
            weight_grad_norm=torch.linalg.vector_norm(grads[len(h) + i].double()).item(),
            weight_norm=torch.linalg.vector_norm(linear.weight.detach().double()).item(),
        )
        for i, linear in enumerate(linears)
    ]
