"""A training without torch.optim and without autograd."""

from collections.abc import Iterable, Iterator

import torch

from gradpath.byhand.losses import of_objective
from gradpath.byhand.network import Network, Pass, by_hand
from gradpath.byhand.steps import Memory, of_optimizer
from gradpath.data.batch import Batch
from gradpath.model.objective import Objective


@torch.no_grad()
def train(
    network: Network, objective: Objective, optimizer: torch.optim.Optimizer, batches: Iterable[Batch]
) -> Iterator[Pass]:
    """Takes one step per batch, changes the network's parameters, and yields what was computed for the batch.

    Args:
        optimizer: its kind and its keys are followed. It takes no step itself.

    Raises:
        ConfigError: a loss or an optimiser for which nothing is written out.
    """
    loss, parameters = of_objective(objective), network.parameters
    steps = of_optimizer(optimizer, parameters)
    memories: dict[str, Memory] = {name: {} for name in parameters}
    for inputs, targets in batches:
        done = by_hand(network, loss, inputs, targets)
        for name, gradient in done.parameters.items():
            steps[name](parameters[name], gradient, memories[name])
        yield done
