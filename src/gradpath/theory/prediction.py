"""Theory's row for every row of a measured profile."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from math import sqrt
from typing import Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from gradpath.network import MLP
from gradpath.theory.moments import D, V


@dataclass(frozen=True)
class LayerPrediction:
    """q: variance of the pre-activations. delta: root mean square |delta| relative to the last hidden layer."""

    layer: str
    q: float
    delta: float


class Layer(Protocol):
    """What theory needs of a layer: its name and its scales."""

    @property
    def layer(self) -> str: ...
    @property
    def sigma_w2(self) -> float: ...
    @property
    def sigma_b2(self) -> float: ...


class Measured(Protocol):
    """What is needed of a measured layer."""

    @property
    def delta(self) -> float: ...


def predict_network(network: MLP, layers: Sequence[Layer], inputs: Tensor) -> list[LayerPrediction] | None:
    """`predict` for a network as drawn: `layers` in order of depth, the output layer last; (batch, features) inputs.

    None without hidden layers, and where this theory does not hold: with a normalisation, or with equal weights.
    """
    equal = any(bool(w.min() == w.max() != 0) for w in (linear.weight for linear in network.linears) if w.numel() > 1)
    if network.activation is None or network.normalized or equal:
        return None
    hidden = [(row.layer, row.sigma_w2, row.sigma_b2) for row in layers[:-1]]
    return predict(deepcopy(network.activation).double(), hidden, inputs.double().square().mean().item())


def predict(activation: nn.Module, layers: list[tuple[str, float, float]], input_norm: float) -> list[LayerPrediction]:
    """What a wide network without normalisation does at initialisation, hidden layers in order of depth.

    q^(l+1) = sigma_w^2 V(q^l) + sigma_b^2 and E|delta^l|^2 = sigma_w,(l+1)^2 D(q^l) E|delta^(l+1)|^2, layer by layer
    (Poole et al. 2016, eq. 3; Schoenholz et al. 2016, eq. 8).

    Args:
        activation: in float64, for the integrals.
        layers: (name, sigma_w^2, sigma_b^2) of every hidden layer.
        input_norm: |x|^2 / n_0 of the data.
    """
    q = []
    moment = input_norm
    for _, sigma_w2, sigma_b2 in layers:
        q.append(sigma_w2 * moment + sigma_b2)
        moment = V(activation, q[-1])
    delta2 = [1.0]
    for (_, sigma_w2, _), q_below in zip(layers[:0:-1], q[-2::-1], strict=True):
        delta2.append(delta2[-1] * sigma_w2 * D(activation, q_below))
    return [
        LayerPrediction(name, variance, sqrt(growth))
        for (name, _, _), variance, growth in zip(layers, q, reversed(delta2), strict=True)
    ]


def lines(predicted: Sequence[LayerPrediction] | None, profile: Sequence[Measured]) -> dict[str, npt.NDArray[np.float64]]:
    """Theory's lines to draw beside what is measured, (L,) each, NaN where it says nothing (the output layer).

    delta: scaled so that prediction and `profile` agree at the last hidden layer, where the prediction begins.
    """
    if not predicted:
        return {}
    anchor = profile[len(predicted) - 1].delta
    return {"delta": np.array([row.delta * anchor for row in predicted] + [np.nan] * (len(profile) - len(predicted)))}
