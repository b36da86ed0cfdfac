"""init=critical on MNIST: |delta| first / last hidden layer of 20 layers of 300 units, in float64."""

from statistics import geometric_mean

import pytest
import torch

from gradpath.studies.networks import deep, drawn


def ratio(activation: str, init: str, depth: int, width: int, seed: int) -> float:
    delta = [row.delta for row in drawn(deep(activation, init, "none", depth, width), seed, torch.float64)[1][:-1]]
    return delta[0] / delta[-1]


# The ranges were measured independently with three seeds. One draw may be off by a third, the mean of twelve by a tenth.
CRITICAL = [
    ("tanh", 1.0, 1.1),
    ("gelu", 1.6, 1.8),
    ("silu", 3.7, 4.4),
    ("elu", 1.0, 1.2),
    ("selu", 1.0, 1.1),
    ("softplus", 1.3, 1.5),
    ("sigmoid", 1.0, 1.3),
]


# One of each kind in `make test`: symmetric, falling below 0, never negative, bounded.
KINDS = ("tanh", "gelu", "softplus", "sigmoid")


@pytest.mark.parametrize(
    ("activation", "low", "high"),
    [case if case[0] in KINDS else pytest.param(*case, marks=pytest.mark.slow) for case in CRITICAL],
)
def test_critical_arrives(activation: str, low: float, high: float) -> None:
    found = geometric_mean(ratio(activation, "critical", 20, 300, seed) for seed in range(12))
    assert 0.9 * low <= found <= 1.1 * high


def test_sigmoid_of_20_layers() -> None:
    """The ratio is between 0.5 and 2; with Xavier's initialisation it is below 1e-10."""
    for seed in range(3):
        assert 0.5 < ratio("sigmoid", "critical", 20, 300, seed) < 2
        assert ratio("sigmoid", "xavier_normal", 20, 300, seed) < 1e-10
