"""Networks on which claims are measured, built as a run builds them, and the gradients of random output cotangents."""

from collections.abc import Callable, Iterable
from functools import cache
from math import exp
from statistics import mean
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gradpath.config.composition import compose
from gradpath.data.batch import Batch
from gradpath.data.memory import MemoryDataModule
from gradpath.flow.profile import LayerFlow, measure
from gradpath.model.network import MLP
from gradpath.model.objective import Objective, Task
from gradpath.run.build import build_run
from gradpath.run.seeding import seed_everything
from gradpath.studies.theory_agreement import slope


class Built(NamedTuple):
    """The parts of a run before its first step."""

    data: MemoryDataModule
    network: MLP
    objective: Objective
    make_optimizer: Callable[[Iterable[nn.Parameter]], Optimizer]


class Cotangent(nn.Module):
    """A loss: the mean over the samples of <y_i, t_i>, so that dLoss_i/dy_i is the i-th target t_i."""

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs * targets).sum(1).mean()


def built(seed: int, *overrides: str) -> Built:
    """Builds the data, the network, the objective and the optimiser of a run with these overrides and this seed."""
    seed_everything(seed)
    data, network, objective, module = build_run(*_composed(overrides))
    return Built(data, network, objective, module.make_optimizer)


def square(depth: int, width: int, *overrides: str) -> tuple[str, ...]:
    """Overrides for `depth` hidden layers. All have `width` units, as have the inputs, N(0, I), and the outputs."""
    data = ("data=gaussian", f"data.features={width}", f"data.classes={width}")
    return "model=deep", f"model.depth={depth}", f"model.width={width}", *data, *overrides


def gaussian(sigma_w2: float, sigma_b2: float) -> tuple[str, ...]:
    """Overrides for W ~ N(0, sigma_w^2 / fan_in) and b ~ N(0, sigma_b^2)."""
    return "init=he_normal", f"init.gain={sigma_w2**0.5!r}", f"init.sigma_b2={sigma_b2}"


def drawn(seed: int, *overrides: str, batch: int, shared: bool = False, biases: bool = True) -> tuple[MLP, Batch]:
    """Draws a network in float64, and a batch of the run's inputs with random cotangents as targets.

    Args:
        batch: the number of inputs.
        shared: whether all samples get the same cotangent, which makes their gradients alike.
        biases: whether to keep the biases that were drawn; otherwise they are 0.
    """
    data, network, _, _ = built(seed, *overrides)
    if not biases:
        for linear in network.linears:
            nn.init.zeros_(linear.bias)
    inputs = data.sample(batch).inputs.double()
    cotangents = torch.randn(1 if shared else batch, data.outputs, dtype=inputs.dtype)
    return network.double(), Batch(inputs, cotangents.expand(batch, -1))


def flow(network: MLP, batch: Batch) -> list[LayerFlow]:
    """The profile of the gradients that the batch's cotangents send back through the network."""
    return measure(network, inner_product(batch.targets.shape[1]), batch)


def inner_product(outputs: int) -> Objective:
    """An objective whose gradient at the outputs is the targets. `outputs` is their number."""
    return Objective(Task.REGRESSION, Cotangent(), outputs)


def growth(seeds: int, *overrides: str, skip: int, batch: int = 16, **options: bool) -> float:
    """Growth of |delta|^2 per layer towards the input: exp of the slope of its logarithm, averaged over the seeds.

    Args:
        skip: the number of hidden layers left out at each end.
        batch, options: as for `drawn`.
    """
    slopes = []
    for seed in range(seeds):
        hidden = flow(*drawn(seed, *overrides, batch=batch, **options))[:-1]
        slopes.append(slope([row.delta for row in hidden[skip : len(hidden) - skip]]))
    return exp(mean(slopes))


def descend(network: MLP, objective: Objective, optimizer: Optimizer, batch: Batch, steps: int) -> None:
    """Trains the network on the whole batch for `steps` steps."""
    for _ in range(steps):
        optimizer.zero_grad()
        objective.loss(network(batch.inputs), batch.targets).backward()  # type: ignore[no-untyped-call]
        optimizer.step()


@cache
def _composed(overrides: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, str]]:
    return compose(*overrides)
