"""Claims about singular values, and about fluctuations at finite width."""

from collections.abc import Sequence
from math import pi, prod, sqrt
from statistics import mean
from typing import Literal

import numpy as np
import torch

from gradpath.config.targets import activation_named
from gradpath.flow.record import Matrix
from gradpath.flow.spectrum import jacobian_singular_values
from gradpath.model import initialization
from gradpath.studies.papers.claim import Check, Claim
from gradpath.studies.papers.networks import built, drawn, flow, square
from gradpath.theory.jacobian import jacobian_moments

DEPTH, WIDTH = 3, 400


def layer_spectra(seeds: int = 3) -> Claim:
    """The default initialisation halves a gradient per tanh layer; Glorot's keeps 7/10 or more (Glorot & Bengio 2010).

    The numbers are mean singular values, of W and of the Jacobians of five tanh layers (section 4.2.1).
    """
    checks = []
    for init, sigma_w, low, high in (("pytorch", sqrt(1 / 3), 0.45, 0.49), ("xavier_uniform", 1.0, 0.69, 0.78)):
        overrides = (f"init={init}", *([] if init == "pytorch" else ["init.gain=1"]))
        found = [_layer_means(seed, overrides) for seed in range(seeds)]
        weights, layers = mean(w for w, _ in found), np.mean([j for _, j in found], axis=0)
        name = "default" if init == "pytorch" else "normalised"
        checks += [
            Check(f"{name}: mean s of W", 8 * sigma_w / (3 * pi), weights, 0.02, relative=True),
            Check(f"{name}, tanh: lowest", low, float(layers.min()), 0.02, relative=True),
            Check(f"{name}, tanh: highest", high, float(layers.max()), 0.02, relative=True),
        ]
    checks += _compromise()
    return Claim(
        6, "Glorot 2010", "the default initialisation halves a gradient per tanh layer, theirs keeps 7/10 and more", checks
    )


def jacobian_spectrum(seeds: int = 3) -> Claim:
    """Gaussian weights spread the eigenvalues of J J^T with depth (Saxe et al. 2013, Pennington et al. 2017).

    Orthogonal weights do not spread them in a linear network, and half as much with ReLU.
    """
    singular = {
        (activation, init): _singular_values(seeds, f"activation={activation}", f"init={init}", f"init.gain={gain!r}")
        for activation, gain in (("identity", 1.0), ("relu", sqrt(2)))
        for init in ("he_normal", "orthogonal")
    }
    linear, orthogonal = singular["identity", "he_normal"], singular["identity", "orthogonal"]
    largest = (DEPTH + 1) ** (DEPTH + 1) / DEPTH**DEPTH
    checks = [
        _spread("linear, gaussian", DEPTH, linear),
        Check("linear, gaussian: largest", largest, float((linear**2).max(1).mean()), 0.1, relative=True),
        Check("linear, orthogonal: spread", 0.0, _relative_variance(orthogonal), 1e-5),
        Check("linear, orthogonal: |s-1|", 0.0, float(np.abs(orthogonal - 1).max()), 1e-5),
        _spread("ReLU, gaussian", 2 * DEPTH, singular["relu", "he_normal"]),
        _spread("ReLU, orthogonal", DEPTH, singular["relu", "orthogonal"]),
        _theory("linear, gaussian", DEPTH, "identity", "gaussian"),
        _theory("linear, orthogonal", 0, "identity", "orthogonal"),
        _theory("ReLU, gaussian", 2 * DEPTH, "relu", "gaussian"),
        _theory("ReLU, orthogonal", DEPTH, "relu", "orthogonal"),
    ]
    return Claim(10, "Pennington 2017", "orthogonal weights keep a linear network's singular values at 1", checks)


def fluctuation(draws: int = 4000) -> Claim:
    """For M = |x^L|^2 / n of a He ReLU network, E M^2 / (E M)^2 = prod(1 + 5 / n_l) (Hanin & Rolnick 2018, theorem 5)."""
    widths = [50] * 5
    _, network, _, _ = built(0, *square(len(widths), widths[0], "activation=relu", "init=he_normal"))
    x = torch.ones(1, widths[0])
    moments = []
    with torch.no_grad():
        for _ in range(draws):
            initialization.he_normal(network, x)
            moments.append(network.blocks[:-1](x).double().square().mean().item())
    first, second = mean(moments), mean(m**2 for m in moments)
    checks = [
        Check("5 x 50: E M", 1.0, first, 0.12, relative=True),
        Check("5 x 50: E M^2 / (E M)^2", prod(1 + 5 / n for n in widths), second / first**2, 0.12, relative=True),
    ]
    return Claim(11, "Hanin 2018", "a deep narrow network's output length fluctuates, though its mean is kept", checks)


def _compromise() -> list[Check]:
    """Checks Var W = 2 / (fan_in + fan_out) (Glorot & Bengio 2010, eq. 12).

    The matrices are not square, because for square ones it equals 1 / fan_in.
    """
    shape = ("data=gaussian", "data.features=512", "data.classes=512", "model.hidden=[256]", "activation=tanh")
    narrowing, widening = flow(*drawn(0, *shape, "init=xavier_uniform", "init.gain=1", batch=2))
    return [
        Check("512 to 256: sigma_w^2", 4 / 3, narrowing.sigma_w2, 0.02, relative=True),
        Check("256 to 512: sigma_w^2", 2 / 3, widening.sigma_w2, 0.02, relative=True),
    ]


def _layer_means(seed: int, overrides: Sequence[str]) -> tuple[float, Matrix]:
    """The mean singular value of the last W, and those of the Jacobians of the five tanh layers, (5,)."""
    network, batch = drawn(seed, *square(5, 512, "activation=tanh", *overrides), batch=1)
    # The inputs have mean square 0.3, about that of an image's pixels. The paper's range of values needs this size.
    x, layers = batch.inputs * sqrt(0.3), []
    for block in network.blocks[:-1]:
        layers.append(jacobian_singular_values(block, x).mean())
        x = block(x).detach()
    return float(jacobian_singular_values(network.blocks[-1], x).mean()), np.array(layers)


def _singular_values(seeds: int, *overrides: str) -> Matrix:
    """Singular values of the Jacobian from the input to the last activation, (seeds, WIDTH).

    This Jacobian has as many factors diag(phi') as W.
    """
    networks = (drawn(seed, *square(DEPTH, WIDTH, *overrides), batch=1) for seed in range(seeds))
    return np.concatenate([jacobian_singular_values(network.blocks[:-1], batch.inputs) for network, batch in networks])


def _relative_variance(singular: Matrix) -> float:
    """var / mean^2 of the eigenvalues of J J^T, averaged over the seeds. `singular` is (seeds, WIDTH)."""
    eigenvalues = singular**2
    return float(np.mean(eigenvalues.var(1) / eigenvalues.mean(1) ** 2))


def _spread(name: str, expected: int, singular: Matrix) -> Check:
    return Check(f"{name}: spread", expected, _relative_variance(singular), 0.1, relative=True)


def _theory(name: str, expected: int, activation: str, weights: Literal["gaussian", "orthogonal"]) -> Check:
    moments = jacobian_moments(activation_named(activation), 1.0, 1.0, DEPTH, weights)
    return Check(f"{name}: theory", expected, moments.relative_variance, 1e-9)
