"""Exploding gradients (C17): which networks blow them up, by the factor that theory says, and what training makes of it."""

from math import pi

from gradpath.studies.chapter.depth import accuracies, draw, flow, setting, table
from gradpath.studies.chapter.study import Conclusion, Study

BATCH_NORM = "ReLU, BatchNorm"
NETWORKS = {
    "tanh, sigma_w^2 = 4": ("activation=tanh", "init=he_normal", "init.gain=2"),
    "ReLU, sigma_w^2 = 4": ("activation=relu", "init=he_normal", "init.gain=2"),
    BATCH_NORM: ("activation=relu", "init=he_normal", "norm=batch_before"),
    "ReLU, He": ("activation=relu", "init=he_normal"),
    "tanh, critical": ("activation=tanh", "init=critical"),
}
SICK, HEALTHY = tuple(NETWORKS)[:3], tuple(NETWORKS)[3:]
DEPTH = 40


def exploding(quick: bool = False) -> Study:
    """Forty layers at step 0 and after an epoch, each network at its own best learning rate."""
    flows = {name: flow(overrides, DEPTH, 2 if quick else 5) for name, overrides in NETWORKS.items()}
    trained = accuracies("exploding", NETWORKS, DEPTH, quick)
    off = [one.factors[0] / one.factors[1] for one in flows.values()]
    plain = [name for name in SICK if name != BATCH_NORM]
    worst, best = max(trained[name].mean for name in plain), min(trained[name].mean for name in HEALTHY)
    return Study(
        setting=setting(DEPTH, quick),
        table=table(flows, trained),
        conclusions=[
            Conclusion(
                "too large a scale blows the gradient up, and so does BatchNorm at any; He's and the critical one do not",
                ", ".join(f"{name} {one.ratio:.2g}" for name, one in flows.items()),
                all(flows[name].ratio > 1e2 for name in SICK) and all(0.1 < flows[name].ratio < 10 for name in HEALTHY),
                supports="per layer " + ", ".join(f"{flows[name].factors[0]:.2f} ({name})" for name in SICK),
            ),
            Conclusion(
                "by the factor of theory: sqrt(sigma_w^2 E phi'^2) per layer; behind BatchNorm about sqrt(pi / (pi - 1))",
                f"measured / predicted factor {min(off):.3f} to {max(off):.3f}; "
                f"with BatchNorm {flows[BATCH_NORM].factors[0]:.3f}, sqrt(pi / (pi - 1)) = {(pi / (pi - 1)) ** 0.5:.3f}",
                all(abs(ratio - 1) < 0.05 for ratio in off),
                supports=f"within {max(abs(ratio - 1) for ratio in off):.1%} of theory's factor",
            ),
            Conclusion(
                "with too large a scale networks learn less than healthy ones, at each one's best rate",
                f"best of the two {worst:.1%}, worst healthy one {best:.1%}; with BatchNorm {trained[BATCH_NORM].mean:.1%}",
                worst < best,
            ),
        ],
        figures={"exploding": draw("Exploding gradients", flows)},
        captions={"exploding": "The gradient on its way from the last hidden layer (right) to the first, before training."},
    )
