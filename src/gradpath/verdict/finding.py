"""What is wrong, why, and what to change: the words in which every verdict speaks."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

# A sick network gets at most this many findings.
MOST = 3
# The two ways to say a remedy.
Words = Literal["overrides", "pytorch"]


@dataclass(frozen=True)
class Remedy:
    """One change. overrides: what to add to the command line. pytorch: the same change in a loop of one's own."""

    overrides: str
    pytorch: str


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    kind: vanishing, exploding, symmetry, saturation, correlation_collapse, dead_units, small_updates, divergence or
        flat_loss.
    cause: initial scale, activation, BatchNorm (or LayerNorm), depth, learning rate or symmetry.
    layer: where it shows, or None.
    """

    kind: str
    cause: str
    layer: str | None
    message: str
    remedy: Remedy

    def as_dict(self, words: Words) -> dict[str, Any]:
        """As `result.json` and `Probe.verdict` have it, the remedy in one of its two wordings."""
        return asdict(self) | {"remedy": getattr(self.remedy, words)}


RELU = Remedy("activation=relu", "nn.ReLU")
RELU_AND_HE = Remedy("activation=relu init=he_normal", "nn.ReLU, with nn.init.kaiming_normal_(W, nonlinearity='relu')")
ONE_HIDDEN_LAYER = Remedy("model=two_layer", "a hidden layer")


def critical(sigma_w2: float) -> Remedy:
    """Weights drawn at the critical scale."""
    return Remedy("init=critical", f"nn.init.normal_(W, std=({sigma_w2:.3g} / W.shape[1]) ** 0.5) in every hidden layer")


def critical_without_norm(sigma_w2: float) -> Remedy:
    """No normalisation, whose scale has to be chosen then."""
    drawn = f"nn.init.normal_(W, std=({sigma_w2:.3g} / W.shape[1]) ** 0.5)"
    return Remedy("norm=none init=critical", f"no normalisation, and {drawn}")


def shallower(depth: int, width: int) -> Remedy:
    """At most `depth` hidden layers."""
    return Remedy(f"model=deep model.depth={depth} model.width={width}", f"at most {depth} hidden layers")


def learning_rate(rate: float) -> Remedy:
    """Another learning rate."""
    return Remedy(f"optimizer.lr={rate:g}", f"a learning rate of {rate:g}")
