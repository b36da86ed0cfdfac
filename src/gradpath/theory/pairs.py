"""How the correlation of two inputs changes from layer to layer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from gradpath.theory.hermite import nodes, product
from gradpath.theory.layers import Layer, Norm
from gradpath.theory.quadrature import Activation, derivatives


@dataclass(frozen=True)
class Pair:
    """Variances of h for two inputs at one layer, and the correlation of the two."""

    qa: float
    qb: float
    c: float


def pair_path(
    activation: Activation, layers: Sequence[Layer], norm: Norm | None, a: float, b: float, shared: float
) -> list[Pair]:
    """The pair at every hidden layer, to three digits (Poole et al. 2016, eq. 5).

    Args:
        norm: None or LayerNorm.
        a, b, shared: x_a^2 / n_0, x_b^2 / n_0 and x_a x_b / n_0 of the inputs.
    """
    path = []
    for layer in layers:
        qa, qb = (layer.sigma_w2 * square + layer.sigma_b2 for square in (a, b))
        scale = (qa * qb) ** 0.5
        c = (layer.sigma_w2 * shared + layer.sigma_b2) / scale if scale > 0 else 1.0
        path.append(Pair(qa, qb, min(1.0, max(-1.0, c))))
        a, b, shared = _after(activation, norm, path[-1])
    return path


def _after(activation: Activation, norm: Norm | None, at: Pair) -> tuple[float, float, float]:
    z, weights, _ = nodes()
    before = norm is not None and norm.placement == "before"
    given = (1.0, 1.0) if before else (at.qa, at.qb)
    with np.errstate(over="ignore", invalid="ignore"):
        x, y = (derivatives(activation, torch.from_numpy(q**0.5 * z), 0)[0].numpy() for q in given)
        if norm is None or before:
            return product(x, x, 1.0), product(y, y, 1.0), product(x, y, at.c)
        x, y = x - x @ weights, y - y @ weights
        spread = (product(x, x, 1.0) * product(y, y, 1.0)) ** 0.5
        return 1.0, 1.0, product(x, y, at.c) / spread if spread > 0 else 1.0
