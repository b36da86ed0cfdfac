"""The claim about the edge of stability, and the largest eigenvalue of the Hessian, which it needs."""

from collections.abc import Sequence
from statistics import mean

import torch
from torch import Tensor, nn

from gradpath.data.batch import Batch
from gradpath.model.network import MLP
from gradpath.model.objective import Objective, Task
from gradpath.studies.papers.claim import Check, Claim
from gradpath.studies.papers.networks import built, descend

# Random points with random labels. 300 of them are trained on: 30 % of the 430 are split off for validation and test.
POINTS = ("data=gaussian", "data.samples=430", "data.features=50", "data.classes=5")
NETWORK = ("model.hidden=[60,60]", "activation=tanh", "init=pytorch", "optimizer=sgd")
FIRST_STEP, LAST_STEP, EVERY = 500, 1500, 50
# Power iterations from a random vector, and from the eigenvector that was found last.
COLD, WARM = 60, 15


class HalfMSE(nn.Module):
    """1/2 |y - t|^2, averaged over the samples."""

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs - targets).square().sum(1).mean() / 2


def edge_of_stability(seeds: int = 2) -> Claim:
    """Full-batch gradient descent drives eta lambda_max to 2, and keeps it there (Cohen et al. 2021)."""
    checks = [
        Check(f"eta = {eta}: eta lambda_max", 2.0, mean(_settled(eta, seed) for seed in range(seeds)), 0.05)
        for eta in (0.3, 0.6)
    ]
    return Claim(15, "Cohen 2021", "gradient descent settles where eta times the sharpness is 2", checks)


def _settled(eta: float, seed: int) -> float:
    """eta lambda_max, averaged over steps 500 to 1500. Single values lie up to 0.06 from this mean."""
    data, network, _, make_optimizer = built(seed, *POINTS, *NETWORK, f"optimizer.lr={eta}")
    network, batch = network.double(), data.sample(300)
    batch = Batch(batch.inputs.double(), batch.targets)
    objective, optimizer = Objective(Task.MULTICLASS, HalfMSE(), data.outputs), make_optimizer(network.parameters())
    descend(network, objective, optimizer, batch, FIRST_STEP)
    sharpness, vector = _largest_eigenvalue(network, objective, batch, None, COLD)
    found = [sharpness]
    for _ in range(FIRST_STEP, LAST_STEP, EVERY):
        descend(network, objective, optimizer, batch, EVERY)
        sharpness, vector = _largest_eigenvalue(network, objective, batch, vector, WARM)
        found.append(sharpness)
    return eta * mean(found)


def _largest_eigenvalue(
    network: MLP, objective: Objective, batch: Batch, vector: Tensor | None, iterations: int
) -> tuple[float, Tensor]:
    """lambda_max of the loss's Hessian and its eigenvector, by power iteration.

    Args:
        vector: where the iteration starts; None for a random vector.
    """
    parameters = list(network.parameters())
    loss = objective.loss(network(batch.inputs), batch.targets)
    gradient = _flat(torch.autograd.grad(loss, parameters, create_graph=True))
    v = torch.randn_like(gradient) if vector is None else vector
    v, value = v / v.norm(), 0.0
    for _ in range(iterations):
        product = _flat(torch.autograd.grad(gradient, parameters, v, retain_graph=True))
        value = (v @ product).item()
        v = product / product.norm()
    return value, v


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.flatten() for tensor in tensors])
