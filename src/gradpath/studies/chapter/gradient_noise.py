"""The noise of the gradient: how far the gradient of a batch is from that of all samples."""

from collections.abc import Iterable
from math import ceil

import torch
from torch import Tensor

from gradpath.data.batch import Batch
from gradpath.model.network import MLP
from gradpath.model.objective import Objective


def measured(network: MLP, objective: Objective, data: Batch, batches: Iterable[Tensor]) -> float:
    """The mean of |g_B - g|^2 / |g|^2 over batches, where g is the gradient on all of `data`.

    Args:
        batches: the indices of each batch's samples, (B,).
    """
    whole = gradient(network, objective, data)
    off = [gradient(network, objective, Batch(data.inputs[b], data.targets[b])) - whole for b in batches]
    return float(torch.stack([(d**2).sum() for d in off]).mean() / (whole**2).sum())


def epochs(samples: int, size: int, draws: int, seed: int = 0) -> list[Tensor]:
    """Draws batches of indices, (size,) each, from as many shuffled epochs as it takes to have at least `draws` of them.

    Incomplete batches are left out. `size` must be at most `samples`.
    """
    generator, found = torch.Generator().manual_seed(seed), list[Tensor]()
    for _ in range(ceil(draws / (samples // size))):
        order = torch.randperm(samples, generator=generator)
        found += [order[at : at + size] for at in range(0, samples - size + 1, size)]
    return found


def expected(network: MLP, objective: Objective, data: Batch, size: int) -> float:
    """E |g_B - g|^2 / |g|^2 for batches of `size` samples, computed from the gradients of single samples.

    It is tr Sigma / (B |g|^2) times (N - B) / (N - 1), because no sample is drawn twice. tr Sigma / |g|^2 is the simple
    noise scale of McCandlish et al. 2018, eq. 2.9: the batch size at which noise and gradient are equally large.
    """
    count = len(data.targets)
    square = float((gradient(network, objective, data) ** 2).sum())
    spread = float(per_sample_squares(network, objective, data).mean()) - square
    return spread / square / size * (count - size) / (count - 1)


def per_sample_squares(network: MLP, objective: Objective, data: Batch) -> Tensor:
    """|dLoss_i / dparameters|^2 of each sample i, (N,), for a network without normalisation.

    A layer's weights contribute |delta_i|^2 |x_i|^2, and its biases |delta_i|^2.
    """
    x, layers = data.inputs.flatten(1), []
    for block in network.blocks:
        h = block.get_submodule("linear")(x)
        h.retain_grad()
        layers.append((x, h))
        x = block.get_submodule("activation")(h) if block is not network.blocks[-1] else h
    (objective.loss(x, data.targets) * len(x)).backward()  # type: ignore[no-untyped-call]
    squares = [(h.grad**2).sum(1) * ((x**2).sum(1) + 1) for x, h in layers if h.grad is not None]
    network.zero_grad()
    return torch.stack(squares).sum(0).detach()


def gradient(network: MLP, objective: Objective, data: Batch) -> Tensor:
    """The gradient of the mean loss with respect to all parameters, as one vector (parameters,)."""
    found = torch.autograd.grad(objective.loss(network(data.inputs), data.targets), list(network.parameters()))
    return torch.cat([part.flatten() for part in found])
