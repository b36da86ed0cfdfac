"""The band of a finite width: a closed form for one input, and the spread of real networks."""

from itertools import product
from math import log

import numpy as np
import pytest
import torch
from torch import nn

from gradpath.data.batch import Batch
from gradpath.flow.profile import measure
from gradpath.model.initialization import he_normal, normal
from gradpath.model.network import MLP
from gradpath.model.objective import Objective, Task
from gradpath.model.predicted import predict_network
from gradpath.theory.fluctuations import Site, step_covariance, typical_cosine
from gradpath.theory.layers import Scale
from gradpath.theory.prediction import Inputs, predict


def test_one_input_through_relu_layers_varies_by_5_over_n() -> None:
    """Hanin & Rolnick 2018: relative variance 5 / n per layer of n units, independent from layer to layer."""
    widths = (50, 80, 20, 100)
    covariance = step_covariance(nn.ReLU(), [Site(1.0, 1.0, n, 1.0) for n in widths], samples=1, alike=1.0)
    assert covariance == pytest.approx(np.diag([5 / n for n in widths[:-1]]), rel=1e-6, abs=1e-9)


def test_without_a_batch_the_band_is_that_of_one_input() -> None:
    layers = [Scale(str(i), 100, 2.0, 0.0) for i in range(6)]
    found = predict(nn.ReLU(), layers, Inputs((1.0,)))
    first = found.layers[0]
    assert first.low is not None
    assert first.high is not None
    # 1.96 standard deviations of five steps, and a shift of 2 / n each, of log |delta|^2.
    assert log(first.high / first.delta) == pytest.approx((1.96 * (5 * 5 / 100) ** 0.5 + 5 * 2 / 100) / 2, rel=1e-6)
    assert first.low * first.high == pytest.approx(first.delta**2)
    assert (found.layers[-1].low, found.layers[-1].high) == (1.0, 1.0)


@pytest.mark.parametrize("phi", [nn.ReLU, nn.GELU, pytest.param(nn.Tanh, marks=pytest.mark.slow)], ids=lambda p: p.__name__)
def test_a_single_input_strays_as_far_as_predicted(phi: type[nn.Module]) -> None:
    """400 networks of width 60, one input each: the standard deviation of log |delta^1|^2 / |delta^6|^2."""
    found, predicted = [], None
    x, y = torch.randn(1, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64), torch.tensor([0])
    for seed in range(400):
        torch.manual_seed(seed)
        network = MLP(30, [60] * 6, 3, phi).double()
        normal(network, x, std=(1.6 / 60) ** 0.5)
        rows = measure(network, Objective(Task.MULTICLASS, nn.CrossEntropyLoss(), 3), Batch(x, y))
        found.append(2 * log(rows[0].delta / rows[5].delta))
    scales = [Scale(str(i), 60, 1.6, 0.0) for i in range(6)]
    scales[0] = Scale("0", 60, 30 * 1.6 / 60, 0.0)
    predicted = predict(phi(), scales, Inputs((x.square().mean().item(),))).steps
    assert predicted is not None
    # 400 draws know a standard deviation to 3.5 %; theory is of first order in 1 / n.
    assert np.std(found) == pytest.approx(predicted.sum() ** 0.5, rel=0.15)


PHIS, NORMS, PLACEMENTS = (nn.ReLU, nn.Tanh, nn.Sigmoid), (nn.BatchNorm1d, nn.LayerNorm), ("before", "after")
# In `make test` each activation, each normalisation and each place stand twice at least; in `make test-all` all with all.
SOME = {
    (nn.ReLU, nn.BatchNorm1d, "before"),
    (nn.ReLU, nn.BatchNorm1d, "after"),
    (nn.Tanh, nn.LayerNorm, "before"),
    (nn.Sigmoid, nn.LayerNorm, "after"),
}
CASES = [
    *((phi, None, "none") for phi in PHIS),
    *(case if case in SOME else pytest.param(*case, marks=pytest.mark.slow) for case in product(PHIS, NORMS, PLACEMENTS)),
]


@pytest.mark.parametrize(("phi", "norm", "placement"), CASES, ids=lambda value: getattr(value, "__name__", str(value)))
def test_the_band_holds_most_networks(phi: type[nn.Module], norm: type[nn.Module] | None, placement: str) -> None:
    """24 networks of width 100: the first layer's |delta| is in the band in 18 or more, and the band not far too wide."""
    inside, offsets, spans = 0, [], []
    for seed in range(24):
        torch.manual_seed(seed)
        network = MLP(40, [100] * 8, 10, phi, norm, placement).double()
        x, y = torch.randn(128, 40, dtype=torch.float64) + 0.7, torch.randint(10, (128,))
        he_normal(network, x, gain=1.5)
        rows = measure(network, Objective(Task.MULTICLASS, nn.CrossEntropyLoss(), 10), Batch(x, y))
        theory = predict_network(network, rows, x)
        assert theory is not None
        first = theory.layers[0]
        assert first.low is not None
        assert first.high is not None
        ratio = rows[0].delta / rows[7].delta
        inside += first.low <= ratio <= first.high
        offsets.append(log(ratio / first.delta))
        spans.append(log(first.high / first.delta))
    assert inside >= 18
    assert np.mean(spans) < 8 * np.sqrt(np.mean(np.square(offsets)))


def test_samples_that_share_nothing_average_the_noise_away() -> None:
    def variance(c: float, samples: int) -> float:
        return float(step_covariance(nn.ReLU(), [Site(1.0, c, 100, 1.0)] * 3, samples, alike=0.0)[0, 0])

    # What is left of 5 / n: of the single sample's own share, 1 in 1000.
    assert variance(0.0, 1000) == pytest.approx(5 / 100 / 1000, rel=0.05)
    # The same slopes, different gradients: kappa - 1 = 1.
    assert variance(1.0, 10**9) == pytest.approx(1 / 100, rel=1e-3)


def test_typical_cosine() -> None:
    assert typical_cosine(np.array([[4.0, 1.0], [1.0, 1.0]])) == pytest.approx(0.5)
    assert typical_cosine(np.eye(1)) == 1.0
