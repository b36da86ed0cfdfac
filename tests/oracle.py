"""A training step written out. It computes every quantity of the probe from its definition, without hooks or our code."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gradpath.model.network import MLP

Batch = tuple[Tensor, Tensor]


def by_hand(
    network: MLP,
    micro: Sequence[Batch],
    optimizer: torch.optim.Optimizer,
    clip: float | None = None,
    loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
) -> dict[str, Any]:
    """Takes one optimiser step on the micro-batches `micro`. Returns every quantity per layer, and all activations.

    Args:
        clip: the largest norm of the gradient, or None.
        loss: the mean loss of a micro-batch, from outputs and targets.
    """
    optimizer.zero_grad()
    deltas: list[list[Tensor]] = [[] for _ in network.blocks]
    outputs: list[list[Tensor]] = [[] for _ in network.blocks]
    for x, y in micro:
        hs = []
        for index, block in enumerate(network.blocks):
            for name, part in block.named_children():
                x = part(x)
                if name == "linear":
                    x.retain_grad()
                    hs.append(x)
                elif name == "activation":
                    outputs[index].append(x.detach())
        (loss(x, y) / len(micro)).backward()
        for index, h in enumerate(hs):
            # This is the gradient of a sample's own loss: it undoes the mean over the samples of all micro-batches.
            deltas[index].append(h.grad * len(y) * len(micro))
    linears = network.linears
    before = [linear.weight.detach().clone() for linear in linears]
    row: dict[str, Any] = {
        "weight_grad_norm": [linear.weight.grad.norm().item() for linear in linears],
        "bias_grad_norm": [linear.bias.grad.norm().item() for linear in linears],
        "weight_norm": [w.norm().item() for w in before],
        "weight_grad_ratio": [(linear.weight.grad.norm() / linear.weight.norm()).item() for linear in linears],
        "delta": [torch.cat(d).norm(dim=1).square().mean().sqrt().item() for d in deltas],
        "delta_second_moment": [torch.cat(d).square().sum(1).mean().item() for d in deltas],
        "delta_rms": [torch.cat(d).square().mean().sqrt().item() for d in deltas],
        "activation_mean": [torch.cat(o).mean().item() if o else np.nan for o in outputs],
        "activation_variance": [torch.cat(o).var(correction=0).item() if o else np.nan for o in outputs],
        "outputs": [torch.cat(o) if o else None for o in outputs],
    }
    if clip is not None:
        torch.nn.utils.clip_grad_norm_(network.parameters(), clip)
    row["weight_grad_norm_clipped"] = [linear.weight.grad.norm().item() for linear in linears]
    optimizer.step()
    row["update_ratio"] = [((linear.weight - w).norm() / w.norm()).item() for linear, w in zip(linears, before, strict=True)]
    return row
