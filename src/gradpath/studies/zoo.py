"""How often the class is right on networks that are no plain chain of Linear layers, against float64 autograd.

The truth is the gradient at places that are written by hand for each network (`branching.py`), by `torch.autograd.grad` in
float64: the ratio of its first place to its last one below the output layer, along the way where that is largest. The
verdict sees the same weights in float32, through the probe.
"""

import copy
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf, isnan, log, nan
from typing import Any

import torch

from gradpath.studies.ways_by_hand import Network, loss_of, norms_at
from gradpath.studies.zoo_networks import MORE, made
from gradpath.verdict.gradient_class import EXPLODING, VANISHING
from gradpath.verdict.probing import probe

# Networks of each kind, each with weights of its own and all of them times one factor, drawn between 1 / MOST and MOST.
DRAWS, MOST = 5, 100.0
CLASSES = ("vanishing", "healthy", "exploding", "none")


@dataclass(frozen=True)
class Sight:
    """One network: its true class and ratio, and what the verdict said of it.

    accused: the kinds of the findings on the gradient's size. findings: how many there are of any kind.
    """

    name: str
    factor: float
    truth: str
    ratio: float
    said: str
    accused: tuple[str, ...]
    findings: int


def suite() -> list[tuple[str, int, float]]:
    """Kind, seed and factor of each network. The first of each kind has the factor 1."""
    generator = torch.Generator().manual_seed(3)
    cases = []
    for name in MORE:
        for seed in range(DRAWS):
            drawn = float(MOST ** (2 * torch.rand((), generator=generator) - 1))
            cases.append((name, seed, drawn if seed else 1.0))
    return cases


def score(case: tuple[str, int, float]) -> Sight:
    """Measures the truth of one network and gives it to the verdict."""
    name, seed, factor = case
    network, inputs = made(name, seed)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                parameter.mul_(factor)
    truth, ratio = true_class(network, inputs)
    network.passed = []
    single = copy.deepcopy(network).float()
    with probe(single) as p:
        loss: Any = loss_of(single(inputs.float() if inputs.is_floating_point() else inputs))
        loss.backward()
        p.step()
    found = p.verdict()
    kinds = [finding["kind"] for finding in found["findings"]]
    accused = tuple(kind for kind in kinds if kind in ("vanishing", "exploding"))
    return Sight(name, factor, truth, ratio, found["class"] or "none", accused, len(kinds))


def true_class(network: Network, inputs: torch.Tensor) -> tuple[str, float]:
    """The class of the way along which the gradient changes most, and its ratio; NaN where no way has two places."""
    ratios = []
    for way in norms_at(network, loss_of(network(inputs))):
        inner = [norm for _, norm in way[:-1]]
        if len(inner) > 1 and inner[-1] > 0:
            ratios.append(inner[0] / inner[-1])
    ratio = max(ratios, key=lambda ratio: abs(log(ratio)) if ratio > 0 else inf, default=nan)
    if isnan(ratio):
        return "none", ratio
    return ("vanishing" if ratio < VANISHING else "exploding" if ratio > EXPLODING else "healthy"), ratio


def table(sights: Sequence[Sight]) -> Iterator[str]:
    """Yields the confusion matrix in Markdown, and how often the verdict was right."""
    counts = Counter((sight.truth, sight.said) for sight in sights)
    yield "| measured \\ said | " + " | ".join(CLASSES) + " |\n|---" + "|---" * len(CLASSES) + "|"
    for truth in CLASSES:
        yield f"| {truth} | " + " | ".join(str(counts[truth, said]) for said in CLASSES) + " |"
    right = sum(sight.truth == sight.said for sight in sights)
    kinds = len({sight.name for sight in sights})
    yield f"\nclass right: {right} of {len(sights)} ({right / len(sights):.1%}), on {kinds} kinds of networks"
    healthy = [sight for sight in sights if sight.truth == "healthy"]
    yield f"findings on the size of {len(healthy)} healthy gradients: {sum(len(sight.accused) for sight in healthy)}"
    yield f"findings of any kind on one network: at most {max(sight.findings for sight in sights)}"
