"""Theory's row for every row of a measured profile."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from math import inf, sqrt
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from gradpath.network import MLP
from gradpath.theory.moments import TINY
from gradpath.theory.quadrature import Activation, derivatives, gaussian

# Of the inputs' norms: as many quantiles stand for all of them.
QUANTILES = 9
# Nodes of the integral over the units' means.
OFFSETS = 16


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
    offset, spread: over the features, the mean of the squared batch means and of the variances over the batch.
    """

    norms: tuple[float, ...]
    offset: float
    spread: float


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

    None without hidden layers, and where theory has nothing to say: equal weights, another normalisation.
    """
    equal = any(bool(w.min() == w.max() != 0) for w in (linear.weight for linear in network.linears) if w.numel() > 1)
    norm = _norm_of(network)
    if network.activation is None or equal or (network.normalized and norm is None):
        return None
    hidden = [(row.layer, row.sigma_w2, row.sigma_b2) for row in layers[:-1]]
    return predict(deepcopy(network.activation).double(), hidden, inputs_of(inputs), norm)


def inputs_of(inputs: Tensor) -> Inputs:
    """Of a batch (batch, ...)."""
    x = inputs.double().flatten(1)
    norms = x.square().mean(1)
    # The middles of equal parts of the samples, scaled so that their mean is that of all.
    middles = norms.quantile((torch.arange(QUANTILES, dtype=torch.float64) + 0.5) / QUANTILES)
    scale = norms.mean() / middles.mean() if middles.mean() > 0 else 1.0
    return Inputs(tuple((middles * scale).tolist()), x.mean(0).square().mean().item(), x.var(0, correction=0).mean().item())


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
    """
    if norm and norm.kind == "batch":
        states = [(inputs.offset, inputs.spread)]
        step: Callable[..., _Step] = _batch_layer
    else:
        states = [(moment, 0.0) for moment in inputs.norms]
        step = _layer
    paths = [_path(activation, layers, norm, state, step) for state in states]
    q = np.mean([[at.q for at in path] for path in paths], axis=0)
    gains = np.array([[at.gain for at in path] for path in paths])
    # E|delta^l|^2 relative to the last layer's: the product of what lies between, averaged over the inputs.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        scales = np.array([*(sigma_w2 for _, sigma_w2, _ in layers[1:]), 1.0])
        delta2 = np.cumprod((gains * scales)[:, ::-1], axis=1)[:, ::-1].mean(0)
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
    """Of one layer: q; gain: of |delta|^2 on its way from the activations back to h; state: what its activations hand on."""

    q: float
    gain: float
    state: tuple[float, float]


def _path(
    activation: Activation,
    layers: Sequence[tuple[str, float, float]],
    norm: Norm | None,
    state: tuple[float, float],
    step: Callable[..., _Step],
) -> list[_Step]:
    path = []
    for _, sigma_w2, sigma_b2 in layers:
        path.append(step(activation, norm, sigma_w2, sigma_b2, state))
        state = path[-1].state
    return path


def _layer(activation: Activation, norm: Norm | None, sigma_w2: float, sigma_b2: float, state: tuple[float, float]) -> _Step:
    """Without normalisation, or with LayerNorm; state: mean square of what comes in."""
    q = sigma_w2 * state[0] + sigma_b2
    if not q < inf:
        return _Step(q, inf, (inf, 0.0))
    if norm is None:
        _, square, slopes = _moments(activation, 0.0, q)
        return _Step(q, slopes, (square, 0.0))
    mean, square, slopes = _moments(activation, 0.0, 1.0 if norm.placement == "before" else q)
    if norm.placement == "before":
        return _Step(q, slopes / q if q else inf, (square, 0.0))
    return _Step(q, slopes / (square - mean**2), (1.0, 0.0))


def _batch_layer(activation: Activation, norm: Norm, sigma_w2: float, sigma_b2: float, state: tuple[float, float]) -> _Step:
    """With BatchNorm; state: mean square of the units' means over the batch, mean of their variances."""
    offset, spread = sigma_w2 * state[0] + sigma_b2, sigma_w2 * state[1]
    if norm.placement == "before":
        mean, square, slopes = _moments(activation, 0.0, 1.0)
        return _Step(offset + spread, slopes / spread if spread else inf, (mean**2, square - mean**2))
    # Units differ in their mean, and with it in what BatchNorm divides by.
    z, weights = np.polynomial.hermite_e.hermegauss(OFFSETS if offset else 1)
    gain = 0.0
    for node, weight in zip(sqrt(offset) * z, weights / weights.sum(), strict=True):
        mean, square, slopes = _moments(activation, float(node), spread)
        variance = square - mean**2
        gain += weight * slopes / variance if variance > 0 else 0.0
    return _Step(offset + spread, float(gain), (0.0, 1.0))


def _moments(activation: Activation, mean: float, q: float) -> tuple[float, float, float]:
    """E phi(h), E phi(h)^2, E phi'(h)^2 for h ~ N(mean, q)."""
    h, w = gaussian(activation, max(q, TINY), mean)
    values, slopes = derivatives(activation, h, 1)
    return float((w * values).sum()), float((w * values**2).sum()), float((w * slopes**2).sum())


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
