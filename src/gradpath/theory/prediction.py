"""Predicts a row for every hidden layer of a measured profile."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp, nan
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from gradpath import activations
from gradpath.theory.batch import batch_sites, through_batch_norm
from gradpath.theory.fluctuations import Site, step_covariance, typical_cosine
from gradpath.theory.layers import Layer, Norm
from gradpath.theory.lengths import average_path
from gradpath.theory.mean_field import LARGEST_Q, SMALLEST_Q
from gradpath.theory.pairs import pair_path
from gradpath.theory.quadrature import Activation, Array, in_float64

# This many quantiles of the inputs' norms stand for all of them.
QUANTILES = 9
# This many samples stand for the whole batch in BatchNorm.
BATCH = 256
# Theory leaves out that the mean of a step shifts by order 1 / n at width n. A shift of up to SHIFT / n covers this on 68
# networks of width 128 and 512 (docs/theory.md).
SHIFT = 2.0


@dataclass(frozen=True)
class LayerPrediction:
    """The prediction for one hidden layer.

    q: mean square of the pre-activations.
    delta: root mean square |delta| relative to the last hidden layer.
    correlation: correlation of the first two inputs' pre-activations; None if only the norms of the inputs are known.
    low, high: at least 95 of 100 networks of this width with independent weights have their delta between these; None if q
        is not finite.
    """

    layer: str
    q: float
    delta: float
    correlation: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Prediction:
    """One row per hidden layer, and how much the steps between layers vary from one network to the next.

    steps: (L - 1, L - 1), covariance of the steps of log |delta|^2 between neighbouring layers; None if q is not finite.
    shifts: (L - 1,), how far the mean of a step may lie from the limit of infinite width.
    """

    layers: list[LayerPrediction]
    steps: Array | None
    shifts: Array


@dataclass(frozen=True)
class Inputs:
    """What theory needs to know about a batch of inputs.

    norms: representative mean squares |x|^2 / n_0 of the samples.
    gram: (B, B), x_i x_j / n_0 of every two samples; needed for BatchNorm. Without it the inputs count as one sample.
    """

    norms: tuple[float, ...]
    gram: Array | None = None


class Measured(Protocol):
    """What theory reads from a measured layer."""

    @property
    def delta(self) -> float: ...


def inputs_of(inputs: Tensor) -> Inputs:
    """`Inputs` for a batch of shape (batch, ...)."""
    x = inputs.double().flatten(1)
    norms = x.square().mean(1)
    # The middles of equal parts of the sorted norms, scaled so that their mean is the mean of all norms.
    middles = norms.quantile((torch.arange(QUANTILES, dtype=torch.float64) + 0.5) / QUANTILES)
    scale = norms.mean() / middles.mean() if middles.mean() > 0 else 1.0
    some = x[:BATCH]
    return Inputs(tuple((middles * scale).tolist()), (some @ some.T / x.shape[1]).cpu().numpy())


def predict(
    activation: str | Activation,
    layers: Sequence[Layer],
    inputs: Inputs | Tensor,
    norm: Norm | None = None,
    outputs: int = 1,
) -> Prediction:
    """What a wide network does at initialisation.

    Without normalisation q^(l+1) = sigma_w^2 V(q^l) + sigma_b^2 and E|delta^l|^2 = sigma_w,(l+1)^2 D(q^l) E|delta^(l+1)|^2.
    Both are computed layer by layer and for every norm of the inputs (Poole et al. 2016, eq. 3; Schoenholz et al. 2016, eq.
    8). BatchNorm divides the gradient by each unit's standard deviation over the batch (Yang et al. 2019). LayerNorm divides
    it by each sample's standard deviation over the units. `fluctuations` computes the band.

    Args:
        activation: by name ("tanh"), or any element-wise callable on float64 tensors.
        layers: the hidden layers, such as `Scale("hidden_01", width=300, sigma_w2=1.0, sigma_b2=0.0)`.
        inputs: a batch (batch, ...), or what `inputs_of` finds in one.
        outputs: of the network; what makes the gradients of two samples differ. 1 gives the band of a single input.

    Raises:
        ValueError: what is to be normalised does not vary; no hidden layer; no activation of this name.
    """
    if not layers:
        raise ValueError("predict: layers: there is no hidden layer")
    if isinstance(activation, str):
        activation = in_float64(activations.activation(activation))
    if isinstance(inputs, Tensor):
        inputs = inputs_of(inputs)
    if norm and norm.kind == "batch":
        assert inputs.gram is not None
        scales = [(layer.sigma_w2, layer.sigma_b2) for layer in layers]
        covariances, logs = through_batch_norm(activation, scales, inputs.gram, norm.placement)
        q = [float(np.trace(covariance)) / len(covariance) for covariance in covariances]
        delta = [exp(log / 2) for log in logs]
        correlation = [_cosine(covariance) for covariance in covariances]
        sites = batch_sites(layers, covariances, norm)
    else:
        q, delta = average_path(activation, layers, inputs.norms, norm)
        correlation = _correlation(activation, layers, inputs, norm)
        sites = _sites(activation, layers, inputs, norm)
    shifts = SHIFT / np.array([layer.width for layer in layers[:-1]], dtype=np.float64)
    finite = all(SMALLEST_Q < site.q < LARGEST_Q for site in sites)
    alike = 1.0 if inputs.gram is None else 1 / max(1, outputs - 1)
    steps = step_covariance(activation, sites, _samples(inputs), alike) if finite else None
    rows = zip(layers, q, delta, correlation, _factors(steps, shifts, len(layers)), strict=True)
    return Prediction(
        [
            LayerPrediction(layer.layer, float(a), float(b), c, factor and float(b) / factor, factor and float(b) * factor)
            for layer, a, b, c, factor in rows
        ],
        steps,
        shifts,
    )


def lines(predicted: Prediction | None, profile: Sequence[Measured]) -> dict[str, Array]:
    """Theory's lines to draw beside the measurement; NaN where there is no prediction (the output layer).

    delta: (L,), scaled so that prediction and `profile` agree at the last hidden layer, where the prediction begins.
    delta_band: (2, L), low and high, scaled in the same way.
    correlation: (L,).
    """
    if not predicted:
        return {}
    anchor = profile[len(predicted.layers) - 1].delta
    rest = [nan] * (len(profile) - len(predicted.layers))

    def line(values: Iterable[float | None], scale: float = 1.0) -> Array:
        return np.array([*(nan if value is None else value * scale for value in values), *rest])

    rows = predicted.layers
    return {
        "delta": line((row.delta for row in rows), anchor),
        "delta_band": np.stack([line((row.low for row in rows), anchor), line((row.high for row in rows), anchor)]),
        "correlation": line(row.correlation for row in rows),
    }


def _correlation(activation: Activation, layers: Sequence[Layer], inputs: Inputs, norm: Norm | None) -> list[float | None]:
    """Correlation of the first two inputs at every layer; None if only norms are known."""
    if inputs.gram is None or len(inputs.gram) < 2:
        return [None] * len(layers)
    gram = inputs.gram
    return [float(at.c) for at in pair_path(activation, layers, norm, gram[0, 0], gram[1, 1], gram[0, 1])]


def _cosine(covariance: Array) -> float | None:
    scale = (covariance[0, 0] * covariance[1, 1]) ** 0.5 if len(covariance) > 1 else 0.0
    return float(covariance[0, 1] / scale) if scale > 0 else None


def _sites(activation: Activation, layers: Sequence[Layer], inputs: Inputs, norm: Norm | None) -> list[Site]:
    """Each layer as two typical inputs see it."""
    moment = float(np.mean(inputs.norms))
    alike = 1.0 if inputs.gram is None else typical_cosine(inputs.gram)
    path = pair_path(activation, layers, norm, moment, moment, alike * moment)
    sites = []
    for layer, at in zip(layers, path, strict=True):
        response = 1 - layer.sigma_b2 / at.qa if at.qa > 0 else 0.0
        given = 1.0 if norm and norm.placement == "before" else at.qa
        sites.append(Site(given, at.c, layer.width, response, norm is not None, norm.placement if norm else None))
    return sites


def _samples(inputs: Inputs) -> int:
    return 1 if inputs.gram is None else len(inputs.gram)


def _factors(steps: Array | None, shifts: Array, layers: int) -> list[float | None]:
    """Factor up and down within which |delta| of each layer, relative to the last one's, lies in 95 % of the networks."""
    if steps is None:
        return [None] * layers
    spans = [1.96 * float(steps[k:, k:].sum()) ** 0.5 + float(shifts[k:].sum()) for k in range(layers)]
    return [exp(min(span / 2, 300.0)) for span in spans]
