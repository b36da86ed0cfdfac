"""Does theory agree with measurement? Compares slopes of log |delta|^2 over depth at initialisation, for many networks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, product
from statistics import mean, stdev

import numpy as np
import torch

from gradpath.model.predicted import predict_network
from gradpath.studies.networks import deep, drawn

SEEDS, WIDTH = range(5), 512
# Slopes agree if they differ by at most this share of the predicted one, or by at most this much per layer.
SHARE, PER_LAYER = 0.03, 0.01
ACTIVATIONS = (
    "relu",
    "leaky_relu",
    "tanh",
    "erf",
    "sigmoid",
    "hardtanh",
    "gelu",
    "silu",
    "mish",
    "elu",
    "selu",
    "softplus",
)
INITS = ("he_normal", "xavier_uniform", "pytorch", "lecun_normal", "orthogonal", "critical", "he_uniform")
DEPTHS = (10, 20, 35, 50)
NORMS = ("batch_before", "batch_after", "layer_before", "layer_after")


@dataclass(frozen=True)
class Agreement:
    """One network, with the slopes of log |delta|^2 per layer towards the input over all hidden layers.

    measured: the slope measured in float64, mean over the seeds.
    spread: its standard deviation over the seeds.
    predicted: theory's slope for the scales of the networks as drawn, mean over the seeds.
    """

    activation: str
    init: str
    norm: str
    depth: int
    measured: float
    spread: float
    predicted: float

    @property
    def difference(self) -> float:
        return self.measured - self.predicted

    @property
    def agrees(self) -> bool:
        return abs(self.difference) <= max(SHARE * abs(self.predicted), PER_LAYER)


def suite() -> list[tuple[str, str, str, int]]:
    """The networks as (activation, init, norm, depth).

    Every activation stands without a normalisation, and four of them with BatchNorm and LayerNorm in each placement.
    """
    inits, depths = cycle(INITS), cycle(DEPTHS)
    plain = [(activation, next(inits), "none", next(depths)) for activation, _ in product(ACTIVATIONS, range(3))]
    normed = [
        (activation, next(inits), norm, next(depths))
        for norm, activation, _ in product(NORMS, ("relu", "tanh", "gelu", "sigmoid"), range(2))
    ]
    return plain + normed


def agreement(activation: str, init: str, norm: str, depth: int, width: int = WIDTH) -> Agreement:
    """Measures and predicts the slope of one network."""
    measured, predicted = [], []
    for seed in SEEDS:
        case = deep(activation, init, norm, depth, width)
        network, profile, batch = drawn(case, seed, torch.float64)
        theory = predict_network(network, profile, batch.inputs)
        assert theory is not None
        measured.append(slope([row.delta for row in profile[:-1]]))
        predicted.append(slope([row.delta for row in theory.layers]))
    return Agreement(activation, init, norm, depth, mean(measured), stdev(measured), mean(predicted))


def slope(delta: Sequence[float]) -> float:
    """The least-squares slope of log |delta|^2 per layer towards the input. `delta` is (L,), first layer first."""
    return -2 * float(np.polyfit(np.arange(len(delta)), np.log(delta), 1)[0])


def table(found: Sequence[Agreement]) -> Iterator[str]:
    """Yields a Markdown table with a line per network, then how many agree."""
    yield "| activation | init | norm | depth | measured | predicted | difference | |\n|---|---|---|---|---|---|---|---|"
    for row in found:
        numbers = f"{row.measured:+.4f} \u00b1 {row.spread:.4f} | {row.predicted:+.4f} | {row.difference:+.4f}"
        mark = "" if row.agrees else "differs"
        yield f"| {row.activation} | {row.init} | {row.norm} | {row.depth} | {numbers} | {mark} |"
    right, largest = sum(row.agrees for row in found), max(abs(row.difference) for row in found)
    yield f"\n{right} of {len(found)} agree ({right / len(found):.1%}); the largest difference is {largest:.4f} per layer"
