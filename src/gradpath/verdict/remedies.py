"""What to change in a sick network, in two wordings: overrides of the command line, and plain PyTorch."""

from dataclasses import dataclass
from typing import Literal

# The two wordings of a remedy.
Words = Literal["overrides", "pytorch"]


@dataclass(frozen=True)
class Remedy:
    """One change. overrides: what to add to the command line. pytorch: the same change in a loop of your own."""

    overrides: str
    pytorch: str


# For what has no known cause.
NONE_KNOWN = Remedy("", "")
RELU = Remedy("activation=relu", "nn.ReLU")
RELU_AND_HE = Remedy("activation=relu init=he_normal", "nn.ReLU, with nn.init.kaiming_normal_(W, nonlinearity='relu')")
OPEN = Remedy("activation=leaky_relu", "biases that start at 0 (nn.init.zeros_), or nn.LeakyReLU")
ONE_HIDDEN_LAYER = Remedy("model=two_layer", "a hidden layer")


def critical(sigma_w2: float) -> Remedy:
    """Weights drawn at the critical scale."""
    return Remedy("init=critical", f"nn.init.normal_(W, std=({sigma_w2:.3g} / W.shape[1]) ** 0.5) in every hidden layer")


def critical_without_norm(sigma_w2: float) -> Remedy:
    """No normalisation. The scale of the weights matters then, so they are drawn at the critical one."""
    drawn = f"nn.init.normal_(W, std=({sigma_w2:.3g} / W.shape[1]) ** 0.5)"
    return Remedy("norm=none init=critical", f"no normalisation, and {drawn}")


def shallower(depth: int, width: int) -> Remedy:
    """At most `depth` hidden layers."""
    return Remedy(f"model=deep model.depth={depth} model.width={width}", f"at most {depth} hidden layers")


def learning_rate(rate: float) -> Remedy:
    """Another learning rate."""
    return Remedy(f"optimizer.lr={rate:g}", f"a learning rate of {rate:g}")
