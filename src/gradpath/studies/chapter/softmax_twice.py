"""Full-batch training on ten classes with one softmax before the negative log-likelihood, or two."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from gradpath.studies.chapter.full_batch import Curve
from gradpath.studies.chapter.tuning import best, untried
from gradpath.studies.papers.networks import built

# What is done to the logits before cross-entropy, which applies a softmax itself.
WAYS: dict[str, Callable[[Tensor], Tensor]] = {"softmax once": lambda z: z, "twice": lambda z: torch.softmax(z, 1)}
# Of these weights both learn more than of He's.
TYPED = ("data=mnist", "loss=cross_entropy", "model.hidden=[64]", "init=pytorch", "optimizer=adam")
# For each way its own, to begin with.
RATES = (0.003, 0.01)


@dataclass(frozen=True)
class Way:
    """Trained at one rate. first: |dL/dz| at the start, z the last layer's outputs, mean over seeds. accuracies: on what is
    trained on, before each step, (seeds, steps)."""

    rate: float
    first: float
    accuracies: Curve

    @property
    def learnt(self) -> list[float]:
        """The mean over all steps, a number per seed."""
        means: list[float] = self.accuracies.mean(1).tolist()
        return means


def trained(before: Callable[[Tensor], Tensor], steps: int, samples: int, seeds: int, more: int) -> Way:
    """At the rate that has learnt most, of RATES and, `more` times, of those next to it."""
    ways = {rate: train(before, rate, steps, samples, seeds) for rate in RATES}
    for _ in range(more):
        ways |= {rate: train(before, rate, steps, samples, seeds) for rate in untried(_best(ways), list(ways))}
    return ways[_best(ways)]


def train(before: Callable[[Tensor], Tensor], rate: float, steps: int, samples: int, seeds: int) -> Way:
    """Full-batch training with the cross-entropy of what `before` makes of the outputs."""
    found = [_train(before, rate, steps, samples, seed) for seed in range(seeds)]
    return Way(rate, fmean(first for first, _ in found), np.array([accuracies for _, accuracies in found]))


def _best(ways: Mapping[float, Way]) -> float:
    return best({rate: way.learnt for rate, way in ways.items()})


def _train(
    before: Callable[[Tensor], Tensor], rate: float, steps: int, samples: int, seed: int
) -> tuple[float, list[float]]:
    data, network, objective, make_optimizer = built(seed, *TYPED, f"optimizer.lr={rate:g}")
    (inputs, targets), network = data.sample(samples), network.double()
    inputs, optimizer, accuracies, first = inputs.double(), make_optimizer(network.parameters()), [], 0.0
    for step in range(steps):
        z = network(inputs)
        z.retain_grad()
        optimizer.zero_grad()
        objective.loss(before(z), targets).backward()  # type: ignore[no-untyped-call]
        if step == 0 and z.grad is not None:
            first = float(z.grad.norm())
        optimizer.step()
        accuracies.append(float(objective.score(z.detach(), targets)))
    return first, accuracies
