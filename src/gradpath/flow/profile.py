"""The per-layer table of a network on one batch, without training it."""

from dataclasses import dataclass
from math import inf, nan

import numpy as np
import torch
from torch import Tensor

from gradpath.data.batch import Batch
from gradpath.flow.activation_sums import Activations
from gradpath.flow.computed import computed
from gradpath.flow.hooks import Watch
from gradpath.flow.kinds import Layer
from gradpath.flow.norms import Scalar, gather, square_sums
from gradpath.flow.spectrum import cosine, undisturbed
from gradpath.model.network import MLP, layer_name, variance
from gradpath.model.objective import Objective


@dataclass(frozen=True)
class LayerFlow:
    """One layer on one batch; None where there is nothing to measure.

    sigma_w2, sigma_b2: fan_in * Var(W), Var(b). q: mean square of the pre-activations h.
    delta: root mean square over samples of |dLoss_i/dh|, where Loss_i is the sample's own loss.
    weight_grad_norm, bias_grad_norm, weight_norm: |dLoss/dW|, |dLoss/db|, |W|, where Loss is the mean over the batch.
    activation_mean, activation_variance, saturated, dead: the layer's activations as `Probe` measures them, except that a
    unit is dead here if it is zero on the whole batch. correlation: cosine between h of the first two samples.
    symmetric: all rows of W are the same, and so are all rows of its gradient; all units therefore stay the same.
    """

    layer: str
    width: int
    sigma_w2: float
    sigma_b2: float
    q: float
    delta: float
    weight_grad_norm: float
    weight_norm: float
    bias_grad_norm: float | None = None
    activation_mean: float | None = None
    activation_variance: float | None = None
    saturated: float | None = None
    dead: float | None = None
    correlation: float | None = None
    symmetric: bool = False


def measure(network: MLP, objective: Objective, batch: Batch) -> list[LayerFlow]:
    """The profile of `network` as it is, first hidden layer first. Weights, gradients and statistics stay as they are."""
    linears = network.linears
    parameters = [p for linear in linears for p in (linear.weight, linear.bias)]
    watch = Watch(network)
    scales = [scales_of(meter.layer) for meter in watch.meters]
    seen: dict[int, Tensor] = {}
    watch.attach()
    watch.watch_activations(True)
    hooks = [linear.register_forward_hook(lambda _m, _x, h, i=i: seen.__setitem__(i, h)) for i, linear in enumerate(linears)]
    try:
        with undisturbed(network), torch.enable_grad():
            loss = objective.loss(network(batch.inputs.to(parameters[0].dtype)), batch.targets)
            tensors = torch.autograd.grad(loss, parameters)
            watch.add_up(watch.meters)
            grads = gather(square_sums(tensors)) ** 0.5
        rows = [
            LayerFlow(
                layer=layer_name(i, len(linears)),
                width=linear.out_features,
                sigma_w2=scales[i][0],
                sigma_b2=scales[i][1],
                q=seen[i].detach().double().square().mean().item(),
                delta=_root(meter.delta, meter.samples),
                weight_grad_norm=float(grads[2 * i]),
                bias_grad_norm=float(grads[2 * i + 1]),
                weight_norm=torch.linalg.vector_norm(linear.weight.detach().double()).item(),
                correlation=_finite(cosine(seen[i])) if len(batch.inputs) > 1 else None,
                symmetric=scales[i][2] and rows_are_equal(tensors[2 * i]),
                **_activations(meter.activations),
            )
            for i, (linear, meter) in enumerate(zip(linears, watch.meters, strict=True))
        ]
    finally:
        watch.detach()
        for hook in hooks:
            hook.remove()
    return rows


def scales_of(layer: Layer) -> tuple[float, float, bool]:
    """sigma_w^2, sigma_b^2 (0 without a bias), and whether all rows of W are the same: whether all units are.

    NaN for a layer whose output is not one product with one weight.
    """
    fan_in = layer.sizes.fan_in
    if layer.kind not in ("linear", "convolution") or [*layer.weights] != ["weight"] or fan_in is None:
        return nan, nan, False
    weight = computed(layer)["weight"]
    if weight.is_complex():
        return nan, nan, False
    biases = [parameter for several in layer.biases.values() for parameter in several]
    rows = weight.flatten(1)
    same = len(rows) > 1 and bool((rows == rows[:1]).all())
    return fan_in * variance(weight), variance(biases[0]) if biases else 0.0, same


def rows_are_equal(grad: Tensor) -> bool:
    """Whether all rows are the same, up to the rounding of float32."""
    grad = grad.flatten(1)
    return bool((grad - grad[:1]).abs().max() <= 1e-4 * grad.abs().max())


def _activations(seen: Activations | None) -> dict[str, float | None]:
    if seen is None:
        return {}
    mean, square, saturated = gather([seen.total, seen.squares, seen.saturated]) / seen.outputs
    # What overflows is inf, without a warning of numpy's; inf - inf as well.
    with np.errstate(over="ignore", invalid="ignore"):
        spread = square - mean**2
    return {
        "activation_mean": float(mean + seen.shape.centre),
        "activation_variance": inf if np.isnan(spread) else float(max(spread, 0)),
        "saturated": _finite(saturated),
        "dead": (seen.peak == 0).double().mean().item(),
    }


def _root(delta: Scalar, samples: int) -> float:
    return float((gather([delta])[0] / samples) ** 0.5)


def _finite(value: float) -> float | None:
    return float(value) if value == value else None
