"""Training a small network on its whole data set at every step, with what it passed through."""

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
    """losses: (steps + 1,), before each step and after the last, as is accuracy. films: copies of the network by step."""

    network: MLP
    losses: Curve
    accuracy: float
    films: dict[int, MLP]


def train(seed: int, overrides: Sequence[str], steps: int, samples: int = 4, films: Sequence[int] = ()) -> Trained:
    """Trains what a run with these overrides would, in float64, on its first `samples` samples."""
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
