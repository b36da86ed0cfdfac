"""Claims about BatchNorm."""

from functools import partial
from math import pi

import torch

from gradpath.config.targets import activation_named
from gradpath.studies.papers.claim import Check, Claim
from gradpath.studies.papers.networks import drawn, gaussian, growth, inner_product, square
from gradpath.theory.batch_norm import batch_norm_rate


def batch_norm_explodes(seeds: int = 4) -> Claim:
    """With BatchNorm and ReLU |delta|^2 grows by pi / (pi - 1) per layer, whatever the weights (Yang et al. 2019)."""
    rate = partial(_rate, seeds)
    he = gaussian(2.0, 0.0)
    checks = [
        Check("BN, ReLU, batch 512", 1.46, rate("activation=relu", "norm=batch_before", *he, batch=512), 0.03),
        Check("BN, ReLU, batch 64", 1.50, rate("activation=relu", "norm=batch_before", *he, batch=64), 0.03),
        Check("BN, identity, batch 8", 6 / 5, rate("activation=identity", "norm=batch_before", batch=8), 0.03),
        Check("BN, identity, batch 16", 14 / 13, rate("activation=identity", "norm=batch_before", batch=16), 0.03),
        # With ReLU the rate is the same on whichever side BatchNorm stands; with tanh it is not.
        Check("BN, tanh, batch 512", 1.1778, rate("activation=tanh", "norm=batch_before", *he, batch=512), 0.03),
        Check("tanh, BN, batch 512", 1.344, rate("activation=tanh", "norm=batch_after", *he, batch=512), 0.03),
        Check("BN, ReLU: theory", pi / (pi - 1), batch_norm_rate(activation_named("relu"), "before"), 1e-6),
        Check("BN, tanh: theory", 1.177807, batch_norm_rate(activation_named("tanh"), "before"), 1e-6),
        Check("tanh, BN: theory", 1.344, batch_norm_rate(activation_named("tanh"), "after", 2.0), 1e-3),
    ]
    return Claim(8, "Yang 2019", "deep networks with BatchNorm explode at initialisation", checks)


def scale_invariance(seeds: int = 5) -> Claim:
    """BN(a W u) = BN(W u), d/d(a W) = (1/a) d/dW, <w_i, dw_i> = 0 (Ioffe & Szegedy 2015, section 3.3)."""
    shape = square(3, 64, "activation=tanh", "norm=batch_before", "norm.layer.eps=1e-30")
    # The largest relative deviations over the seeds, for the W of one hidden layer. <w_i, dw_i> is 0 up to rounding.
    factor, largest = 10.0, {"outputs": 0.0, "dW": 0.0, "<w, dw>": 0.0}
    for seed in range(seeds):
        network, batch = drawn(seed, *shape, batch=32)
        weight = network.linears[1].weight
        objective, found = inner_product(64), []
        for scale in (1.0, factor):
            with torch.no_grad():
                weight *= scale
            outputs = network(batch.inputs)
            (grad,) = torch.autograd.grad(objective.loss(outputs, batch.targets), weight)
            along = (weight * grad).sum(1).abs().max() / (weight.norm() * grad.norm())
            found.append((outputs.detach(), grad * scale, along.item()))
        (y, dw, along), (scaled_y, scaled_dw, _) = found
        for name, off in (
            ("outputs", (scaled_y - y).abs().max() / y.abs().max()),
            ("dW", (scaled_dw - dw).abs().max() / dw.abs().max()),
            ("<w, dw>", torch.tensor(along)),
        ):
            largest[name] = max(largest[name], off.item())
    checks = [Check(f"W times {factor:g}: change of {name}", 0.0, value, 1e-8) for name, value in largest.items()]
    return Claim(9, "Ioffe 2015", "BatchNorm makes a layer blind to the scale of its weights", checks)


def _rate(seeds: int, *overrides: str, batch: int) -> float:
    return growth(seeds, *square(20, 256, *overrides), skip=3, batch=batch)
