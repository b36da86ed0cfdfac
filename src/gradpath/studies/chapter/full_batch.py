"""Full-batch training of a small network, which keeps the losses and copies of the network on the way."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradpath.model.network import MLP
from gradpath.studies.papers.networks import built

Curve = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Trained:
    """A trained network and how it came about.

    network: the network after the last step, in float64.
    losses: (steps + 1,), the training loss before each step and after the last.
    accuracy: the training accuracy after the last step.
    films: step -> a copy of the network after that many steps.
    """

    network: MLP
    losses: Curve
    accuracy: float
    films: dict[int, MLP]


def train(seed: int, overrides: Sequence[str], steps: int, samples: int = 4, films: Sequence[int] = ()) -> Trained:
    """Trains the network of a run with these overrides, in float64, on all of its first `samples` samples at every step.

    Args:
        films: the numbers of steps after which to keep a copy of the network.
    """
    data, network, objective, make_optimizer = built(seed, *overrides)
    batch, network = data.sample(samples), network.double()
    inputs, optimizer = batch.inputs.double(), make_optimizer(network.parameters())
    losses, kept = [], {}
    for step in range(steps + 1):
        if step in films:
            kept[step] = deepcopy(network)
        optimizer.zero_grad()
        outputs = network(inputs)
        loss = objective.loss(outputs, batch.targets)
        losses.append(loss.item())
        if step < steps:
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return Trained(network, np.array(losses), objective.score(outputs, batch.targets).item(), kept)
