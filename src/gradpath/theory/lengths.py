"""Lengths from layer to layer, q forward and |delta| backward, for one input or averaged over several."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from gradpath.theory.layers import Layer, Norm
from gradpath.theory.moments import both, mean
from gradpath.theory.quadrature import Activation


@dataclass(frozen=True)
class Step:
    """One layer of a path.

    q: mean square of h.
    gain: factor by which |delta|^2 changes from the layer's output back to h.
    moment: mean square of the layer's output.
    """

    q: float
    gain: float
    moment: float


def average_path(
    activation: Activation, layers: Sequence[Layer], moments: Sequence[float], norm: Norm | None = None
) -> tuple[list[float], list[float]]:
    """q of every hidden layer, and its root mean square |delta| relative to the last hidden layer, averaged over inputs.

    q^(l+1) = sigma_w^2 V(q^l) + sigma_b^2, E|delta^l|^2 = sigma_w,(l+1)^2 D(q^l) E|delta^(l+1)|^2 (Poole et al. 2016, eq. 3;
    Schoenholz et al. 2016, eq. 8).

    Args:
        layers: in order of depth.
        moments: |x|^2 / n_0 of each input.
        norm: None or LayerNorm.

    Raises:
        ValueError: the input of LayerNorm does not vary.
    """
    paths = [_path(activation, layers, norm, moment) for moment in moments]
    q = np.mean([[at.q for at in path] for path in paths], axis=0)
    gains = np.array([[at.gain for at in path] for path in paths])
    # E|delta^l|^2 relative to the last layer's: the product of the gains between the two, averaged over the inputs.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        factors = np.array([*(layer.sigma_w2 for layer in layers[1:]), 1.0])
        delta2 = np.cumprod((gains * factors)[:, ::-1], axis=1)[:, ::-1].mean(0)
        delta = np.sqrt(delta2 / delta2[-1])
    return q.tolist(), delta.tolist()


def _path(activation: Activation, layers: Sequence[Layer], norm: Norm | None, moment: float) -> list[Step]:
    path = []
    for layer in layers:
        path.append(_layer(activation, norm, layer.sigma_w2 * moment + layer.sigma_b2))
        moment = path[-1].moment
    return path


def _layer(activation: Activation, norm: Norm | None, q: float) -> Step:
    """The step through one layer without normalisation, or with LayerNorm."""
    if not q < inf:
        return Step(q, inf, inf)
    if norm is None:
        square, slopes = both(activation, q)
        return Step(q, slopes, square)
    square, slopes = both(activation, 1.0 if norm.placement == "before" else q)
    # LayerNorm divides by the square root of this.
    variance = q if norm.placement == "before" else square - mean(activation, q) ** 2
    if not variance > 0:
        raise ValueError("predict: a layer has nothing to normalise")
    return Step(q, slopes / variance, square if norm.placement == "before" else 1.0)
