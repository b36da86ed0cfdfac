"""What the probe needs to know about an activation: where it saturates, and whether it can be negative."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gradpath.model.network import ACTIVATION_MARK

# Modules of torch.nn.modules.activation that mix a layer's units instead of acting on each by itself.
NOT_ELEMENTWISE = (nn.MultiheadAttention, nn.Softmax, nn.LogSoftmax, nn.Softmax2d, nn.Softmin, nn.GLU)
# An output is saturated if it lies this close to a bound, in units of half the range: |tanh| > 0.97.
SATURATED = 0.03


@dataclass(frozen=True)
class Shape:
    """The features of an activation phi.

    centre: phi(0). low, high: the bounds, both None unless phi is bounded on both sides. nonnegative: phi >= 0 everywhere.
    """

    centre: float = 0.0
    low: float | None = None
    high: float | None = None
    nonnegative: bool = False

    @property
    def total_is_peak(self) -> bool:
        """Whether the units' sums, which are taken to find dead units, add up to the sum of all outputs about the centre."""
        return self.nonnegative and not self.centre

    def saturated(self, outputs: Tensor, dim: tuple[int, ...] | None = None) -> Tensor | None:
        """The number of entries within 3 % of half the range of a bound, over these dimensions or all, a 0-d tensor.

        None for an unbounded activation.
        """
        if self.low is None or self.high is None:
            return None
        middle, half = (self.low + self.high) / 2, (self.high - self.low) / 2
        distance = (outputs - middle).abs_() if middle else outputs.abs()
        # Ones and zeros in the outputs' own type: summing booleans is four times slower on a CPU.
        return distance.gt_(half * (1 - SATURATED)).sum(dim, dtype=torch.float32)


def is_activation(module: nn.Module) -> bool:
    """Whether a module is an elementwise activation: torch's own, or one marked by an attribute `is_activation`."""
    if getattr(module, ACTIVATION_MARK, False):
        return True
    return type(module).__module__ == "torch.nn.modules.activation" and not isinstance(module, NOT_ELEMENTWISE)


@torch.no_grad()
def shape_of(activation: nn.Module) -> Shape:
    """The shape of an activation, found by trying it out.

    An activation that takes only inputs of a certain shape (PReLU per unit) is treated as unbounded.
    """
    training = activation.training
    parameter = next(activation.parameters(), torch.zeros(()))
    activation.training = False
    try:
        # `forward` is called directly, so that the user's hooks do not run.
        far = activation.forward(torch.tensor([-1e6, -1e5, 0.0, 1e5, 1e6]).to(parameter)).tolist()
        lowest = activation.forward(torch.linspace(-20, 20, 4001).to(parameter)).min().item()
    except (RuntimeError, ValueError):
        return Shape()
    finally:
        activation.training = training
    bounded = abs(far[0] - far[1]) + abs(far[3] - far[4]) < 1e-3 and far[0] != far[4]
    low, high = sorted((far[0], far[4])) if bounded else (None, None)
    return Shape(far[2], low, high, lowest >= 0)
