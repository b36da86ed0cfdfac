"""The claim about exclusive or: the losses at which a linear model and the smallest network stop improving."""

from math import log

import torch
from torch import Tensor
from torch.optim import LBFGS

from gradpath.data.batch import Batch
from gradpath.model.network import MLP
from gradpath.model.objective import Objective
from gradpath.studies.papers.claim import Check, Claim, same
from gradpath.studies.papers.networks import built

SMALLEST = ("data=xor", "model.hidden=[2]", "activation=relu", "init=pytorch")
# Losses at which training can stop. At 3/4 H(1/3), three of the four points share one output, and one of these three has the
# other label; H(p) is the entropy of a coin.
PLATEAUS = {
    "ln 2": log(2),
    "3/4 H(1/3)": 0.75 * (log(3) - 2 / 3 * log(2)),
    "ln 2 / 2": log(2) / 2,
}


def exclusive_or(starts: int = 24) -> Claim:
    """No line separates XOR (Minsky & Papert 1969). Two ReLU units do, unless training stops on a plateau first."""
    checks = [*_linear(5), *_plateaus(starts), _exact()]
    return Claim(16, "Minsky 1969", "a linear model of XOR can do no better than w = 0; two ReLU units are enough", checks)


def _linear(starts: int) -> list[Check]:
    weights, losses, probabilities = [], [], []
    for seed in range(starts):
        data, network, objective, _ = built(seed, "data=xor", "model=perceptron", "init=normal", "init.std=1")
        batch = data.sample(4)
        losses.append(_minimised(network.double(), objective, batch))
        weights.append(network.linears[0].weight)
        probabilities.append(torch.sigmoid(network(batch.inputs.double())))
    zero, half = torch.zeros(()), torch.tensor(0.5)
    return [
        same(f"linear, {starts} starts: w", zero, torch.stack(weights), 1e-4),
        Check(f"linear, {starts} starts: loss", log(2), max(losses), 1e-4),
        same(f"linear, {starts} starts: p - 1/2", half, torch.stack(probabilities), 1e-4),
    ]


def _plateaus(starts: int) -> list[Check]:
    """Checks that training ends on each plateau from at least one of the starts."""
    losses = []
    for seed in range(starts):
        data, network, objective, _ = built(seed, *SMALLEST)
        losses.append(_minimised(network.double(), objective, data.sample(4)))
    return [
        Check(f"plateau {name}", loss, min(losses, key=lambda found: abs(found - loss)), 1e-4)
        for name, loss in PLATEAUS.items()
    ]


def _exact() -> Check:
    """Checks that relu(x1 + x2) - 2 relu(x1 + x2 - 1) is XOR."""
    data, network, _, _ = built(0, *SMALLEST)
    first, last = network.linears
    with torch.no_grad():
        first.weight.fill_(1.0)
        first.bias.copy_(torch.tensor([0.0, -1.0]))
        last.weight.copy_(torch.tensor([[1.0, -2.0]]))
        last.bias.zero_()
    inputs, targets = data.sample(4)
    return same("relu(x1+x2) - 2 relu(x1+x2-1)", targets[:, None], network(inputs), 1e-4)


def _minimised(network: MLP, objective: Objective, batch: Batch) -> float:
    """Trains the network on the whole batch with L-BFGS. Returns the final loss."""
    optimizer = LBFGS(
        network.parameters(), max_iter=2000, tolerance_grad=1e-9, tolerance_change=1e-14, line_search_fn="strong_wolfe"
    )
    inputs = batch.inputs.double()

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = objective.loss(network(inputs), batch.targets)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return loss().item()
