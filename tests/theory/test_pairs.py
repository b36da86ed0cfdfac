"""The correlation of two inputs from layer to layer, against the exact map, closed forms and a wide network."""

from math import pi

import pytest
import torch
from torch import nn

from gradpath.data.batch import Batch
from gradpath.flow.profile import measure
from gradpath.model.initialization import normal
from gradpath.model.network import MLP
from gradpath.model.objective import Objective, Task
from gradpath.model.predicted import predict_network
from gradpath.theory.layers import Norm, Scale
from gradpath.theory.mean_field import correlation_map
from gradpath.theory.pairs import pair_path


def test_relu_from_correlation_0() -> None:
    """c_1 = 1 / pi, c_10 = .871536, c_100 = .996423."""
    path = pair_path(nn.ReLU(), [Scale(str(i), 1, 2.0, 0.0) for i in range(101)], None, 1.0, 1.0, 0.0)
    found = [path[k].c for k in (0, 1, 10, 100)]
    assert found == pytest.approx([0.0, 1 / pi, 0.871536, 0.996423], abs=1e-3)


@pytest.mark.parametrize("phi", [nn.Tanh(), nn.GELU(), nn.Hardtanh()], ids=lambda p: type(p).__name__)
@pytest.mark.parametrize("shared", [0.9, 0.1, -0.5])
def test_the_exact_map(phi: nn.Module, shared: float) -> None:
    scales = [Scale(str(i), 1, 1.5, 0.1) for i in range(8)]
    path = pair_path(phi, scales, None, 0.7, 1.4, shared)
    qa, qb, c = path[0].qa, path[0].qb, path[0].c
    for at in path[1:]:
        qa, qb, c = correlation_map(phi, 1.5, 0.1, qa, qb, c)
        assert (at.qa, at.qb, at.c) == pytest.approx((qa, qb, c), abs=2e-4)


@pytest.mark.parametrize("norm", [None, nn.LayerNorm, nn.BatchNorm1d])
@pytest.mark.parametrize("placement", ["before", "after"])
def test_measured_in_a_wide_network(norm: type[nn.Module] | None, placement: str) -> None:
    torch.manual_seed(0)
    network = MLP(50, [2000] * 4, 10, nn.ReLU, norm, placement if norm else "none").double()
    x, y = torch.randn(64, 50, dtype=torch.float64) + 0.3, torch.randint(10, (64,))
    x[1] = 0.6 * x[0] + 0.8 * x[1]
    normal(network, x, std=(2 / 2000) ** 0.5, sigma_b2=0.05)
    rows = measure(network, Objective(Task.MULTICLASS, nn.CrossEntropyLoss(), 10), Batch(x, y))
    theory = predict_network(network, rows, x)
    assert theory is not None
    assert [row.correlation for row in theory.layers] == pytest.approx([row.correlation for row in rows[:-1]], abs=0.06)


def test_layer_norm_does_not_change_what_it_finds_centred() -> None:
    scales = [Scale(str(i), 1, 3.0, 0.0) for i in range(5)]
    plain = pair_path(nn.ReLU(), scales, None, 1.0, 1.0, 0.2)
    normed = pair_path(nn.ReLU(), scales, Norm("layer", "before"), 1.0, 1.0, 0.2)
    assert [at.c for at in normed] == pytest.approx([at.c for at in plain], rel=1e-9)
