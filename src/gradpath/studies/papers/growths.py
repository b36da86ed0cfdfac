"""Claims about the growth of |delta|^2 per layer, measured on wide random networks."""

from math import sqrt
from statistics import mean

import torch

from gradpath.config.targets import activation_named
from gradpath.studies.papers.claim import Check, Claim
from gradpath.studies.papers.networks import drawn, flow, gaussian, growth, square
from gradpath.theory.mean_field import mean_field
from gradpath.theory.moments import D, V
from gradpath.theory.moments import mean as expectation

WIDTH = 512


def chi(seeds: int = 5) -> Claim:
    """|delta|^2 grows by chi_1 per layer towards the input, measured and predicted (Schoenholz et al. 2016, eq. 8)."""
    checks = []
    for sigma_w2, expected in ((1.0, 0.7590), (1.761, 1.000), (2.5, 1.1335)):
        shape = square(40, WIDTH, "activation=tanh", *gaussian(sigma_w2, 0.05))
        # All samples get the same cotangent, so that a probe that averaged gradients over the batch would measure chi_c.
        measured = growth(seeds, *shape, skip=5, shared=True)
        checks.append(Check(f"sigma_w^2={sigma_w2:g}: chi", expected, measured, 0.02, relative=True))
        predicted = mean_field("tanh", sigma_w2, 0.05).chi_1
        checks.append(Check(f"sigma_w^2={sigma_w2:g}: theory", expected, predicted, 1e-4))
    return Claim(2, "Schoenholz 2016", "|delta|^2 grows by chi_1 per layer towards the input", checks)


def relu_scales(seeds: int = 5) -> Claim:
    """With ReLU, He's scale keeps |delta|^2; per layer, LeCun's halves it, PyTorch's divides it by 6 (He et al. 2015)."""
    checks = []
    for init, expected in (("he_normal", 1.0), ("he_uniform", 1.0), ("lecun_normal", 0.5), ("pytorch", 1 / 6)):
        measured = growth(seeds, *square(20, WIDTH, "activation=relu", f"init={init}"), skip=3, biases=False)
        checks.append(Check(f"ReLU, {init}: chi", expected, measured, 0.03, relative=True))
    return Claim(4, "He 2015", "ReLU needs sigma_w^2 = 2: chi = sigma_w^2 / 2", checks)


def sigmoid_vanishes(seeds: int = 5) -> Claim:
    """sigma' is at most 1/4, so that chi is at most sigma_w^2 / 16 (Hochreiter 1991)."""
    checks = []
    for name, init, expected, sigma_w2 in (
        ("default", "pytorch", 0.1414, 1 / 3),
        ("Xavier", "xavier_uniform", 0.2361, 1.0),
    ):
        # The first layer is left out: its inputs have mean square 1, so it is not yet at the fixed point.
        measured = growth(seeds, *square(5, WIDTH, "activation=sigmoid", f"init={init}"), skip=1)
        checks.append(Check(f"{name}: sqrt(chi)", expected, sqrt(measured), 0.03, relative=True))
        checks.append(Check(f"{name}: chi's bound", sigma_w2 / 16, measured, kind="at most"))
    return Claim(5, "Hochreiter 1991", "sigmoid's slope is at most 1/4: gradients vanish at any usual scale", checks)


def selu(seeds: int = 5) -> Claim:
    """SELU keeps mean 0 and variance 1 (Klambauer et al. 2017), but not the gradient."""
    phi = activation_named("selu")
    measured = growth(seeds, *square(50, WIDTH, "activation=selu", "init=lecun_normal"), skip=5)
    with torch.no_grad():
        # SELU is lambda z above 0 and tends to -lambda alpha far below 0.
        scale, lowest = phi(torch.tensor([1.0, -60.0], dtype=torch.float64)).tolist()
    checks = [
        Check("SELU: lambda", 1.05070099, scale, 1e-8),
        Check("SELU: alpha", 1.67326324, -lowest / scale, 1e-8),
        Check("SELU: E phi", 0.0, expectation(phi, 1.0), 1e-8),
        Check("SELU: E phi^2", 1.0, V(phi, 1.0), 1e-8),
        Check("SELU: D(1)", 1.071575, D(phi, 1.0), 1e-6),
        Check("SELU, 50 layers: chi", 1.071575, measured, 0.02, relative=True),
        Check("SELU: growth over 50 layers", 32.0, D(phi, 1.0) ** 50, 0.02, relative=True),
    ]
    return Claim(13, "Klambauer 2017", "SELU at sigma_w^2 = 1 keeps mean and variance, yet |delta|^2 grows", checks)


def tanh_gain(seeds: int = 5) -> Claim:
    """PyTorch's gain of 5/3 for tanh lies in the chaotic phase."""
    shape = square(20, WIDTH, "activation=tanh", "init=he_normal")
    rows = [row for seed in range(seeds) for row in flow(*drawn(seed, *shape, batch=64))[5:-1]]
    theory = mean_field("tanh", 25 / 9, 0.0)
    measured = {
        "q*": (1.1785, mean(row.q for row in rows)),
        "q*, theory": (1.1785, theory.q_star),
        "activation std": (0.6513, sqrt(mean(row.activation_variance or 0.0 for row in rows))),
        "P(|tanh| > .97)": (0.0539, mean(row.saturated or 0.0 for row in rows)),
        "chi": (1.2098, growth(seeds, *shape, skip=4)),
        "chi, theory": (1.2098, theory.chi_1),
    }
    checks = [Check(f"gain 5/3: {name}", *pair, 0.03, relative=True) for name, pair in measured.items()]
    return Claim(14, "PyTorch gain", "tanh with gain 5/3 saturates a little and explodes", checks)
