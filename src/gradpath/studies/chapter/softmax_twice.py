"""Full-batch training on ten classes with one softmax, or two, before the negative log-likelihood."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from gradpath.studies.chapter.full_batch import Curve
from gradpath.studies.chapter.tuning import best, untried
from gradpath.studies.papers.networks import built

# The function applied to the logits before cross-entropy, which applies a softmax itself.
WAYS: dict[str, Callable[[Tensor], Tensor]] = {"softmax once": lambda z: z, "twice": lambda z: torch.softmax(z, 1)}
# Both ways learn more from PyTorch's initial weights than from He's.
TYPED = ("data=mnist", "loss=cross_entropy", "model.hidden=[64]", "init=pytorch", "optimizer=adam")
# The learning rates tried first. Each way gets its own best one.
RATES = (0.003, 0.01)


@dataclass(frozen=True)
class Way:
    """One way of applying softmax, trained at one learning rate.

    rate: the learning rate.
    first: |dL/dz| before the first step, where z are the last layer's outputs on all samples; the mean over seeds.
    accuracies: (seeds, steps), the training accuracy before each step.
    """

    rate: float
    first: float
    accuracies: Curve

    @property
    def learnt(self) -> list[float]:
        """The mean training accuracy over all steps, one number per seed."""
        means: list[float] = self.accuracies.mean(1).tolist()
        return means


def trained(before: Callable[[Tensor], Tensor], steps: int, samples: int, seeds: int, more: int) -> Way:
    """Trains at several learning rates, and returns the training with the highest mean training accuracy.

    RATES are tried first; then, at most `more` times, the rates next to the best one.
    """
    ways = {rate: train(before, rate, steps, samples, seeds) for rate in RATES}
    for _ in range(more):
        ways |= {rate: train(before, rate, steps, samples, seeds) for rate in untried(_best(ways), list(ways))}
    return ways[_best(ways)]


def train(before: Callable[[Tensor], Tensor], rate: float, steps: int, samples: int, seeds: int) -> Way:
    """Trains on the cross-entropy of `before(outputs)`, with all samples at every step, once per seed."""
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
