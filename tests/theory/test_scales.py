"""The map of initialisations against weights that they drew."""

from typing import Any

import pytest
import torch
from torch import nn

from gradpath.model import initialization
from gradpath.model.network import MLP, variance
from gradpath.theory.scales import moments_of

CASES: list[tuple[str, dict[str, Any]]] = [
    ("pytorch", {}),
    ("zeros", {"sigma_b2": 0.3}),
    ("constant", {}),
    ("normal", {"std": 0.02, "sigma_b2": 0.1}),
    ("lecun_normal", {"sigma_b2": 0.1}),
    ("lecun_uniform", {}),
    ("xavier_normal", {"gain": 1.5}),
    ("xavier_uniform", {"gain": 5 / 3, "sigma_b2": 0.05}),
    ("he_normal", {"gain": 1.4}),
    ("he_uniform", {"gain": 1.4, "mode": "fan_out"}),
    ("he_normal", {"gain": 0.7, "mode": "fan_out"}),
    ("orthogonal", {"gain": 1.2}),
]


@pytest.mark.parametrize(("fan_in", "fan_out"), [(900, 500), (300, 1000)])
@pytest.mark.parametrize(("init", "options"), CASES)
def test_the_map_is_what_is_drawn(init: str, options: dict[str, Any], fan_in: int, fan_out: int) -> None:
    torch.manual_seed(0)
    network = MLP(fan_in, [fan_out], 10, nn.Tanh)
    getattr(initialization, init)(network, torch.zeros(2, fan_in), **options)
    linear = network.linears[0]
    sigma_w2, sigma_b2 = moments_of(init, fan_in, fan_out, **options)
    assert fan_in * variance(linear.weight) == pytest.approx(sigma_w2, rel=0.02, abs=1e-9)
    assert variance(linear.bias) == pytest.approx(sigma_b2, rel=0.2, abs=1e-9)


def test_what_has_no_place_in_the_plane() -> None:
    with pytest.raises(ValueError, match="follows from depth and data"):
        moments_of("critical", 10, 10)
    with pytest.raises(ValueError, match="Did you mean he_normal"):
        moments_of("he_norml", 10, 10)
