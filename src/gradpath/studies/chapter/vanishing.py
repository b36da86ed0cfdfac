"""Vanishing gradients (C17): which networks lose them, by the factor that theory says, and what training makes of it."""

from gradpath.studies.chapter.depth import accuracies, draw, flow, setting, table
from gradpath.studies.chapter.study import Conclusion, Study

NETWORKS = {
    "sigmoid, Xavier": ("activation=sigmoid", "init=xavier_normal", "init.gain=1"),
    "ReLU, PyTorch's default": ("activation=relu", "init=pytorch"),
    "tanh, PyTorch's default": ("activation=tanh", "init=pytorch"),
    "ReLU, He": ("activation=relu", "init=he_normal"),
    "tanh, critical": ("activation=tanh", "init=critical"),
}
SICK, HEALTHY = tuple(NETWORKS)[:3], tuple(NETWORKS)[3:]
DEPTH = 15
# One digit in ten is guessed right; the most frequent one is 11.4 % of the test images.
CHANCE = 0.12


def vanishing(quick: bool = False) -> Study:
    """Fifteen layers at step 0 and after an epoch, each network at its own best learning rate."""
    flows = {name: flow(overrides, DEPTH, 2 if quick else 5) for name, overrides in NETWORKS.items()}
    trained = accuracies("vanishing", NETWORKS, DEPTH, quick)
    tried = ", ".join(f"{rate:g}" for rate in trained["sigmoid, Xavier"].validation)
    off = [one.factors[0] / one.factors[1] for one in flows.values()]
    sigmoid = trained["sigmoid, Xavier"].mean
    worst, best = max(trained[name].mean for name in SICK), min(trained[name].mean for name in HEALTHY)
    return Study(
        setting=setting(DEPTH, quick),
        table=table(flows, trained),
        conclusions=[
            Conclusion(
                "sigmoid with Xavier, ReLU and tanh with PyTorch's default lose the gradient; ReLU with He and tanh at the "
                "critical scale do not",
                ", ".join(f"{name} {one.ratio:.1g}" for name, one in flows.items()),
                all(flows[name].ratio < 1e-2 for name in SICK) and all(0.1 < flows[name].ratio < 10 for name in HEALTHY),
                supports="per layer " + ", ".join(f"{flows[name].factors[0]:.2f} ({name})" for name in SICK),
            ),
            Conclusion(
                "they lose it by the factor of theory, sqrt(sigma_w^2 E phi'^2) per layer",
                f"measured / predicted factor {min(off):.3f} to {max(off):.3f}",
                all(abs(ratio - 1) < 0.05 for ratio in off),
                supports=f"within {max(abs(ratio - 1) for ratio in off):.1%} of theory's factor",
            ),
            Conclusion(
                "the deep sigmoid network learns at none of the rates tried, and the sick ones learn less than the healthy",
                f"sigmoid {sigmoid:.1%} (at {tried}), best of the sick {worst:.1%}, worst of the healthy {best:.1%}",
                sigmoid < CHANCE and worst < best,
            ),
        ],
        figures={"vanishing": draw("Vanishing gradients", flows)},
        captions={"vanishing": "The gradient on its way from the last hidden layer (right) to the first, before training."},
    )
