"""Theory's rows against a wide network's measured ones."""

from math import sqrt

import pytest
import torch
from torch import nn

from gradpath.data.batch import Batch
from gradpath.flow.profile import measure
from gradpath.model.initialization import constant, normal, resolve_gain, zeros
from gradpath.model.network import MLP
from gradpath.model.objective import Objective, Task
from gradpath.model.predicted import predict_network
from gradpath.theory.layers import Scale
from gradpath.theory.prediction import Inputs, predict
from gradpath.verdict.anatomy import anatomy
from gradpath.verdict.verdict import verdict


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
        assert [row.layer for row in theory.layers] == ["hidden_01", "hidden_02", "hidden_03", "hidden_04"]
        q.append([row.q / predicted.q for row, predicted in zip(rows, theory.layers, strict=False)])
        delta.append(
            [row.delta / rows[3].delta / predicted.delta for row, predicted in zip(rows, theory.layers, strict=False)]
        )
    # Finite width: about 5 % per draw.
    assert torch.tensor(q).mean(0).tolist() == pytest.approx([1.0] * 4, abs=0.06)
    assert torch.tensor(delta).mean(0).tolist() == pytest.approx([1.0] * 4, abs=0.06)


def test_no_prediction_for_equal_weights() -> None:
    network, x = MLP(4, [5, 5], 3), torch.randn(8, 4)
    constant(network, x, value=0.1)
    rows = measure(network, Objective(Task.MULTICLASS, nn.CrossEntropyLoss(), 3), Batch(x, torch.zeros(8, dtype=torch.long)))
    assert predict_network(network, rows, x) is None


NORMS = [(norm, placement) for norm in (nn.BatchNorm1d, nn.LayerNorm) for placement in ("before", "after")]


@pytest.mark.parametrize(("norm", "placement"), NORMS)
@pytest.mark.parametrize("phi", [nn.Tanh, nn.ReLU, nn.Sigmoid], ids=lambda p: p.__name__)
def test_with_normalisation(phi: type[nn.Module], norm: type[nn.Module], placement: str) -> None:
    """Varying widths and scales, biases, and inputs that are not centred; a large batch."""
    delta, q = [], []
    for seed in range(4):
        torch.manual_seed(seed)
        network = MLP(300, [400, 500, 300, 400, 400], 10, phi, norm, placement).double()
        x, y = 0.6 * torch.randn(512, 300, dtype=torch.float64) + 0.5, torch.randint(10, (512,))
        normal(network, x, std=sqrt(1.8 / 400), sigma_b2=0.1)
        rows = measure(network, Objective(Task.MULTICLASS, nn.CrossEntropyLoss(), 10), Batch(x, y))
        theory = predict_network(network, rows, x)
        assert theory is not None
        q.append([row.q / predicted.q for row, predicted in zip(rows, theory.layers, strict=False)])
        delta.append(
            [row.delta / rows[4].delta / predicted.delta for row, predicted in zip(rows, theory.layers, strict=False)]
        )
    assert torch.tensor(q).mean(0).tolist() == pytest.approx([1.0] * 5, abs=0.06)
    assert torch.tensor(delta).mean(0).tolist() == pytest.approx([1.0] * 5, abs=0.06)


def test_every_input_has_its_own_norm() -> None:
    """Inputs of very different length: each goes its own way through the length map."""
    torch.manual_seed(0)
    ratios = []
    for _ in range(4):
        network = MLP(400, [600, 600, 600], 10, nn.Tanh).double()
        x = torch.randn(128, 400, dtype=torch.float64) * torch.logspace(-1, 1, 128, dtype=torch.float64)[:, None]
        normal(network, x, std=sqrt(2 / 600))
        rows = measure(network, Objective(Task.MULTICLASS, nn.CrossEntropyLoss(), 10), Batch(x, torch.randint(10, (128,))))
        theory = predict_network(network, rows, x)
        assert theory is not None
        ratios.append(
            [row.delta / rows[2].delta / predicted.delta for row, predicted in zip(rows, theory.layers, strict=False)]
        )
    assert torch.tensor(ratios).mean(0).tolist() == pytest.approx([1.0] * 3, abs=0.06)


@pytest.mark.parametrize(("norm", "placement"), NORMS)
@pytest.mark.parametrize("phi", [nn.Sigmoid, nn.ReLU], ids=lambda p: p.__name__)
def test_weights_of_zero(phi: type[nn.Module], norm: type[nn.Module], placement: str) -> None:
    """Nothing to normalise: no prediction, or one of no gradient; never an exception or a warning."""
    network, x = MLP(4, [5, 5, 5], 3, phi, norm, placement), torch.randn(8, 4)
    zeros(network, x)
    objective = Objective(Task.MULTICLASS, nn.CrossEntropyLoss(), 3)
    rows = measure(network, objective, Batch(x, torch.zeros(8, dtype=torch.long)))
    theory = predict_network(network, rows, x)
    assert theory is None or [row.delta for row in theory.layers] == [0, 0, 1]


def test_a_length_map_that_explodes() -> None:
    found = predict(nn.SELU(), [Scale(str(i), 100, 1e9, 0.0) for i in range(60)], Inputs((1.0,))).layers
    assert found[-1].q == float("inf")


def test_no_prediction_without_hidden_layers_or_with_another_normalisation() -> None:
    x = torch.randn(8, 4)
    objective = Objective(Task.MULTICLASS, nn.CrossEntropyLoss(), 3)
    for network in (MLP(4, [5, 5], 3, norm=nn.RMSNorm, placement="before"), MLP(4, [], 3)):
        rows = measure(network, objective, Batch(x, torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])))
        assert predict_network(network, rows, x) is None


def test_a_random_activation_draws_nothing_for_theory() -> None:
    """RReLU's slopes come from torch's generator, which belongs to the run."""
    network, x = MLP(4, [5, 5], 3, nn.RReLU), torch.randn(8, 4)
    rows = measure(network, Objective(Task.MULTICLASS, nn.CrossEntropyLoss(), 3), Batch(x, torch.zeros(8, dtype=torch.long)))
    before = torch.get_rng_state()
    assert predict_network(network, rows, x) is not None
    verdict(rows, anatomy(network))
    resolve_gain("auto", network.activation)
    assert torch.equal(torch.get_rng_state(), before)


def test_no_prediction_for_slopes_per_unit() -> None:
    network, x = MLP(4, [5, 5], 3, lambda: nn.PReLU(5)), torch.randn(8, 4)
    rows = measure(network, Objective(Task.MULTICLASS, nn.CrossEntropyLoss(), 3), Batch(x, torch.zeros(8, dtype=torch.long)))
    assert predict_network(network, rows, x) is None
