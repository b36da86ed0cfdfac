"""A batch behind BatchNorm: closed forms, and measured networks on inputs that form clusters."""

from math import log

import numpy as np
import pytest
import torch
from torch import nn

from gradpath.data.batch import Batch
from gradpath.flow.profile import measure
from gradpath.model.initialization import lecun_normal
from gradpath.model.network import MLP
from gradpath.model.objective import Objective, Task
from gradpath.model.predicted import predict_network
from gradpath.theory.batch import through_batch_norm
from gradpath.theory.batch_norm import batch_norm_rate


@pytest.mark.parametrize("placement", ["before", "after"])
@pytest.mark.parametrize("batch", [32, 256])
def test_linear_layers_explode_by_the_size_of_the_batch(placement: str, batch: int) -> None:
    """By (B - 2) / (B - 3) per layer (Yang et al. 2019), to first order in 1 / B, for samples with nothing in common."""
    _, logs = through_batch_norm(nn.Identity(), [(1.0, 0.0)] * 6, np.eye(batch), placement)
    assert -np.diff(logs)[1:] == pytest.approx(log((batch - 2) / (batch - 3)), rel=5 / batch)


@pytest.mark.parametrize("phi", [nn.Tanh(), nn.ReLU(), nn.GELU()], ids=lambda phi: type(phi).__name__)
@pytest.mark.parametrize("placement", ["before", "after"])
def test_many_different_samples_explode_at_the_rate_of_large_batches(phi: nn.Module, placement: str) -> None:
    _, logs = through_batch_norm(phi, [(1.5, 0.0)] * 5, np.eye(400), placement)
    rate = batch_norm_rate(phi, placement, 1.5)
    assert np.exp(-np.diff(logs))[1:] == pytest.approx(rate, rel=0.01)


@pytest.mark.parametrize("placement", ["before", "after"])
@pytest.mark.parametrize("phi", [nn.Sigmoid, nn.ReLU])
def test_clusters_explode_faster(phi: type[nn.Module], placement: str) -> None:
    """128 samples about 32 centres: faster than a large batch's rate."""
    measured, predicted = [], []
    for seed in range(5):
        torch.manual_seed(seed)
        centres = torch.randn(32, 200, dtype=torch.float64).repeat_interleave(4, 0)
        x, y = centres + 0.4 * torch.randn(128, 200, dtype=torch.float64), torch.arange(128) % 10
        network = MLP(200, [400] * 6, 10, phi, nn.BatchNorm1d, placement).double()
        lecun_normal(network, x)
        rows = measure(network, Objective(Task.MULTICLASS, nn.CrossEntropyLoss(), 10), Batch(x, y))
        theory = predict_network(network, rows, x)
        assert theory is not None
        measured.append(2 * log(rows[1].delta / rows[5].delta) / 4)
        predicted.append(2 * log(theory.layers[1].delta / theory.layers[5].delta) / 4)
    found, expected = np.mean(measured), np.mean(predicted)
    large = log(batch_norm_rate(phi(), placement, 1.0))
    assert found > large + 0.02
    # The first order leaves less than half of what theory of large batches misses.
    assert abs(found - expected) < (found - large) / 2
