"""Vanishing and exploding gradients (C17): which networks have them, by the factor that theory says, and what training makes
of it."""

from collections.abc import Callable, Mapping, Sequence
from math import pi

from gradpath.studies.chapter.depth import Flow, accuracies, draw, flow, setting, table
from gradpath.studies.chapter.study import Conclusion, Study
from gradpath.studies.chapter.tuning import Tuned

Networks = Mapping[str, Sequence[str]]
SIGMOID, BATCH_NORM = "sigmoid, Xavier", "ReLU, BatchNorm"
HEALTHY: Networks = {
    "ReLU, He": ("activation=relu", "init=he_normal"),
    "tanh, critical": ("activation=tanh", "init=critical"),
}
VANISHING: Networks = {
    SIGMOID: ("activation=sigmoid", "init=xavier_normal", "init.gain=1"),
    "ReLU, PyTorch's default": ("activation=relu", "init=pytorch"),
    "tanh, PyTorch's default": ("activation=tanh", "init=pytorch"),
}
EXPLODING: Networks = {
    "tanh, sigma_w^2 = 4": ("activation=tanh", "init=he_normal", "init.gain=2"),
    "ReLU, sigma_w^2 = 4": ("activation=relu", "init=he_normal", "init.gain=2"),
    BATCH_NORM: ("activation=relu", "init=he_normal", "norm=batch_before"),
}
# One digit in ten is guessed right; the most frequent one is 11.4 % of the test images.
CHANCE = 0.12
Concluded = Callable[[Mapping[str, Flow], Mapping[str, Tuned]], list[Conclusion]]


def vanishing(quick: bool = False) -> Study:
    """Fifteen layers at step 0 and after an epoch, each network at its own best learning rate."""
    return _study("vanishing", VANISHING, 15, quick, _of_vanishing)


def exploding(quick: bool = False) -> Study:
    """Forty layers, likewise."""
    return _study("exploding", EXPLODING, 40, quick, _of_exploding)


def _study(name: str, sick: Networks, depth: int, quick: bool, concluded: Concluded) -> Study:
    networks = {**sick, **HEALTHY}
    flows = {network: flow(overrides, depth, 2 if quick else 5) for network, overrides in networks.items()}
    trained = accuracies(name, networks, depth, quick)
    return Study(
        setting=setting(depth, quick),
        table=table(flows, trained),
        conclusions=concluded(flows, trained),
        figures={name: draw(f"{name.capitalize()} gradients", flows)},
        captions={name: "The gradient on its way from the last hidden layer (right) to the first, before training."},
    )


def _of_vanishing(flows: Mapping[str, Flow], trained: Mapping[str, Tuned]) -> list[Conclusion]:
    sigmoid, tried = trained[SIGMOID].mean, ", ".join(f"{rate:g}" for rate in trained[SIGMOID].validation)
    worst, best = max(trained[name].mean for name in VANISHING), min(trained[name].mean for name in HEALTHY)
    return [
        Conclusion(
            "sigmoid with Xavier, ReLU and tanh with PyTorch's default lose the gradient; ReLU with He and tanh at the "
            "critical scale do not",
            ", ".join(f"{name} {one.ratio:.1g}" for name, one in flows.items()),
            all(flows[name].ratio < 1e-2 for name in VANISHING) and _healthy(flows),
            supports=_per_layer(flows, VANISHING),
        ),
        _by_theory(flows, "they lose it by the factor of theory, sqrt(sigma_w^2 E phi'^2) per layer"),
        Conclusion(
            "the deep sigmoid network learns at none of the rates tried, and the sick ones learn less than the healthy",
            f"sigmoid {sigmoid:.1%} (at {tried}), best of the sick {worst:.1%}, worst of the healthy {best:.1%}",
            sigmoid < CHANCE and worst < best,
        ),
    ]


def _of_exploding(flows: Mapping[str, Flow], trained: Mapping[str, Tuned]) -> list[Conclusion]:
    worst = max(trained[name].mean for name in EXPLODING if name != BATCH_NORM)
    best = min(trained[name].mean for name in HEALTHY)
    return [
        Conclusion(
            "too large a scale blows the gradient up, and so does BatchNorm at any; He's and the critical one do not",
            ", ".join(f"{name} {one.ratio:.2g}" for name, one in flows.items()),
            all(flows[name].ratio > 1e2 for name in EXPLODING) and _healthy(flows),
            supports=_per_layer(flows, EXPLODING),
        ),
        _by_theory(
            flows,
            "by the factor of theory: sqrt(sigma_w^2 E phi'^2) per layer; behind BatchNorm about sqrt(pi / (pi - 1))",
            f"; with BatchNorm {flows[BATCH_NORM].factors[0]:.3f}, sqrt(pi / (pi - 1)) = {(pi / (pi - 1)) ** 0.5:.3f}",
        ),
        Conclusion(
            "with too large a scale networks learn less than healthy ones, at each one's best rate",
            f"best of the two {worst:.1%}, worst healthy one {best:.1%}; with BatchNorm {trained[BATCH_NORM].mean:.1%}",
            worst < best,
        ),
    ]


def _healthy(flows: Mapping[str, Flow]) -> bool:
    return all(0.1 < flows[name].ratio < 10 for name in HEALTHY)


def _per_layer(flows: Mapping[str, Flow], sick: Networks) -> str:
    return "per layer " + ", ".join(f"{flows[name].factors[0]:.2f} ({name})" for name in sick)


def _by_theory(flows: Mapping[str, Flow], statement: str, more: str = "") -> Conclusion:
    off = [one.factors[0] / one.factors[1] for one in flows.values()]
    return Conclusion(
        statement,
        f"measured / predicted factor {min(off):.3f} to {max(off):.3f}{more}",
        all(abs(ratio - 1) < 0.05 for ratio in off),
        supports=f"within {max(abs(ratio - 1) for ratio in off):.1%} of theory's factor",
    )
