"""Theory's rows against a wide network's measured ones."""

from math import sqrt

import pytest
import torch
from torch import nn

from gradpath.data.memory import Batch
from gradpath.flow.profile import measure
from gradpath.initialization import constant, normal
from gradpath.network import MLP
from gradpath.objective import Objective, Task
from gradpath.theory.prediction import predict_network


@pytest.mark.parametrize("phi", [nn.Tanh, nn.ReLU, nn.GELU], ids=lambda p: p.__name__)
def test_measured_and_predicted_agree_in_a_wide_network(phi: type[nn.Module]) -> None:
    q, delta = [], []
    for seed in range(4):
        torch.manual_seed(seed)
        # Varying widths, and a fixed scale per weight, so that sigma_w^2 differs from layer to layer.
        network = MLP(400, [900, 700, 800, 600], 10, phi).double()
        # Inputs whose mean square is not 1, and biases, which theory has to know of.
        x, y = 0.6 * torch.randn(64, 400, dtype=torch.float64), torch.randint(10, (64,))
        normal(network, x, std=sqrt(1.8 / 700), sigma_b2=0.2)
        rows = measure(network, Objective(Task.MULTICLASS, nn.CrossEntropyLoss(), 10), Batch(x, y))
        theory = predict_network(network, rows, x)
        assert theory is not None
        assert [row.layer for row in theory] == ["hidden_01", "hidden_02", "hidden_03", "hidden_04"]
        q.append([row.q / predicted.q for row, predicted in zip(rows, theory, strict=False)])
        delta.append([row.delta / rows[3].delta / predicted.delta for row, predicted in zip(rows, theory, strict=False)])
    # Finite width: about 5 % per draw.
    assert torch.tensor(q).mean(0).tolist() == pytest.approx([1.0] * 4, abs=0.06)
    assert torch.tensor(delta).mean(0).tolist() == pytest.approx([1.0] * 4, abs=0.06)


def test_no_prediction_for_equal_weights() -> None:
    network, x = MLP(4, [5, 5], 3), torch.randn(8, 4)
    constant(network, x, value=0.1)
    rows = measure(network, Objective(Task.MULTICLASS, nn.CrossEntropyLoss(), 3), Batch(x, torch.zeros(8, dtype=torch.long)))
    assert predict_network(network, rows, x) is None


def test_no_prediction_with_normalisation_or_without_hidden_layers() -> None:
    x = torch.randn(8, 4)
    objective = Objective(Task.MULTICLASS, nn.CrossEntropyLoss(), 3)
    for network in (MLP(4, [5, 5], 3, norm=nn.BatchNorm1d, placement="before"), MLP(4, [], 3)):
        rows = measure(network, objective, Batch(x, torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])))
        assert predict_network(network, rows, x) is None
