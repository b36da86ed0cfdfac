"""Theory's row for every row of a measured profile."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from gradpath.network import MLP
from gradpath.theory.batch import through_batch_norm
from gradpath.theory.moments import both, mean
from gradpath.theory.quadrature import Activation, Array, in_float64

# Of the inputs' norms: as many quantiles stand for all of them.
QUANTILES = 9
# Samples that stand for a batch behind BatchNorm.
BATCH = 256


@dataclass(frozen=True)
class LayerPrediction:
    """q: mean square of the pre-activations. delta: root mean square |delta| relative to the last hidden layer."""

    layer: str
    q: float
    delta: float


@dataclass(frozen=True)
class Inputs:
    """What theory needs of a batch of inputs.

    norms: representative mean squares |x|^2 / n_0 of its samples.
    gram: (B, B), x_i x_j / n_0 of every two; what BatchNorm needs.
    """

    norms: tuple[float, ...]
    gram: Array | None = None


@dataclass(frozen=True)
class Norm:
    """A normalisation without gain and shift: over the batch, or over the units of a layer."""

    kind: Literal["batch", "layer"]
    placement: Literal["before", "after"]


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

    None without hidden layers, and where theory has nothing to say: equal weights, another normalisation, weights of zero
    before a normalisation, an activation that takes no vector of any length (PReLU per unit).
    """
    equal = any(bool(w.min() == w.max() != 0) for w in (linear.weight for linear in network.linears) if w.numel() > 1)
    norm = _norm_of(network)
    if network.activation is None or equal or (network.normalized and norm is None):
        return None
    hidden = [(row.layer, row.sigma_w2, row.sigma_b2) for row in layers[:-1]]
    try:
        return predict(in_float64(network.activation), hidden, inputs_of(inputs), norm)
    except (ValueError, RuntimeError):
        return None


def inputs_of(inputs: Tensor) -> Inputs:
    """Of a batch (batch, ...)."""
    x = inputs.double().flatten(1)
    norms = x.square().mean(1)
    # The middles of equal parts of the samples, scaled so that their mean is that of all.
    middles = norms.quantile((torch.arange(QUANTILES, dtype=torch.float64) + 0.5) / QUANTILES)
    scale = norms.mean() / middles.mean() if middles.mean() > 0 else 1.0
    some = x[:BATCH]
    return Inputs(tuple((middles * scale).tolist()), (some @ some.T / x.shape[1]).cpu().numpy())


def predict(
    activation: Activation, layers: Sequence[tuple[str, float, float]], inputs: Inputs, norm: Norm | None = None
) -> list[LayerPrediction]:
    """What a wide network does at initialisation, hidden layers in order of depth.

    Without normalisation q^(l+1) = sigma_w^2 V(q^l) + sigma_b^2 and E|delta^l|^2 = sigma_w,(l+1)^2 D(q^l) E|delta^(l+1)|^2,
    layer by layer and for every input's own norm (Poole et al. 2016, eq. 3; Schoenholz et al. 2016, eq. 8). BatchNorm
    divides the gradient by each unit's standard deviation over the batch (Yang et al. 2019), LayerNorm by each sample's over
    the units.

    Args:
        activation: in float64, for the integrals.
        layers: (name, sigma_w^2, sigma_b^2) of every hidden layer.

    Raises:
        ValueError: what is to be normalised does not vary.
    """
    if norm and norm.kind == "batch":
        assert inputs.gram is not None
        scales = [(sigma_w2, sigma_b2) for _, sigma_w2, sigma_b2 in layers]
        means, logs = through_batch_norm(activation, scales, inputs.gram, norm.placement)
        return [LayerPrediction(name, q, exp(log / 2)) for (name, *_), q, log in zip(layers, means, logs, strict=True)]
    paths = [_path(activation, layers, norm, moment) for moment in inputs.norms]
    q = np.mean([[at.q for at in path] for path in paths], axis=0)
    gains = np.array([[at.gain for at in path] for path in paths])
    # E|delta^l|^2 relative to the last layer's: the product of what lies between, averaged over the inputs.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        factors = np.array([*(sigma_w2 for _, sigma_w2, _ in layers[1:]), 1.0])
        delta2 = np.cumprod((gains * factors)[:, ::-1], axis=1)[:, ::-1].mean(0)
        delta = np.sqrt(delta2 / delta2[-1])
    return [LayerPrediction(name, float(a), float(b)) for (name, _, _), a, b in zip(layers, q, delta, strict=True)]


def lines(predicted: Sequence[LayerPrediction] | None, profile: Sequence[Measured]) -> dict[str, npt.NDArray[np.float64]]:
    """Theory's lines to draw beside what is measured, (L,) each, NaN where it says nothing (the output layer).

    delta: scaled so that prediction and `profile` agree at the last hidden layer, where the prediction begins.
    """
    if not predicted:
        return {}
    anchor = profile[len(predicted) - 1].delta
    return {"delta": np.array([row.delta * anchor for row in predicted] + [np.nan] * (len(profile) - len(predicted)))}


@dataclass(frozen=True)
class _Step:
    """Of one layer: q; gain: of |delta|^2 on its way from the activations back to h; moment: mean square handed on."""

    q: float
    gain: float
    moment: float


def _path(
    activation: Activation, layers: Sequence[tuple[str, float, float]], norm: Norm | None, moment: float
) -> list[_Step]:
    path = []
    for _, sigma_w2, sigma_b2 in layers:
        path.append(_layer(activation, norm, sigma_w2 * moment + sigma_b2))
        moment = path[-1].moment
    return path


def _layer(activation: Activation, norm: Norm | None, q: float) -> _Step:
    """Without normalisation, or with LayerNorm."""
    if not q < inf:
        return _Step(q, inf, inf)
    if norm is None:
        square, slopes = both(activation, q)
        return _Step(q, slopes, square)
    square, slopes = both(activation, 1.0 if norm.placement == "before" else q)
    # Of what LayerNorm divides by.
    variance = q if norm.placement == "before" else square - mean(activation, q) ** 2
    if not variance > 0:
        raise ValueError("predict: a layer has nothing to normalise")
    return _Step(q, slopes / variance, square if norm.placement == "before" else 1.0)


def _norm_of(network: MLP) -> Norm | None:
    """The normalisation of the hidden layers, None where there is none that theory knows."""
    kinds: dict[type[nn.Module], Literal["batch", "layer"]] = {nn.BatchNorm1d: "batch", nn.LayerNorm: "layer"}
    parts = dict(network.blocks[0].named_children())
    placements: tuple[Literal["before", "after"], ...] = ("before", "after")
    for placement in placements:
        part = parts.get(f"norm_{placement}")
        if part is not None and type(part) in kinds:
            return Norm(kinds[type(part)], placement)
    return None
