"""Theory's prediction for one of our networks as it was drawn."""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from gradpath.model.network import MLP
from gradpath.theory.layers import Layer, Norm
from gradpath.theory.prediction import Prediction, inputs_of, predict
from gradpath.theory.quadrature import in_float64


def predict_network(network: MLP, layers: Sequence[Layer], inputs: Tensor) -> Prediction | None:
    """`predict` for a network as drawn: `layers` in order of depth, the output layer last; (batch, features) inputs.

    None without hidden layers, and for networks that theory does not cover: equal weights, a normalisation other than
    BatchNorm and LayerNorm, weights of zero before a normalisation, an activation that does not take vectors of any length
    (PReLU per unit).
    """
    equal = any(bool(w.min() == w.max() != 0) for w in (linear.weight for linear in network.linears) if w.numel() > 1)
    norm = _norm_of(network)
    if network.activation is None or equal or (network.normalized and norm is None):
        return None
    try:
        return predict(in_float64(network.activation), layers[:-1], inputs_of(inputs), norm, layers[-1].width)
    except (ValueError, RuntimeError):
        return None


def _norm_of(network: MLP) -> Norm | None:
    """The normalisation of the hidden layers, None if there is none that theory knows."""
    kinds: dict[type[nn.Module], Literal["batch", "layer"]] = {nn.BatchNorm1d: "batch", nn.LayerNorm: "layer"}
    parts = dict(network.blocks[0].named_children())
    placements: tuple[Literal["before", "after"], ...] = ("before", "after")
    for placement in placements:
        part = parts.get(f"norm_{placement}")
        if part is not None and type(part) in kinds:
            return Norm(kinds[type(part)], placement)
    return None
