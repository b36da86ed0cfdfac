"""The sums of one layer over a step."""

from collections.abc import Collection

from torch import nn

from gradpath.flow.activation_sums import Activations
from gradpath.flow.kinds import Layer
from gradpath.flow.norms import Scalar
from gradpath.flow.places import Place
from gradpath.flow.private_torch import version_of
from gradpath.flow.saturation import Shape


class Meter:
    """The sums of one layer over a step.

    delta: the gradients' squares at h, each times the square of the pass's number of samples. samples: of all batches of the
    step. entries: of h. activations: the sums over them, None if there are none.
    """

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.name = layer.name or layer.kind
        # The shape of the activation behind the layer, kept from step to step.
        self.shape = Shape()
        # Whether a pass of this step has reached the layer, and what told its gradient from others when that was over.
        self.stamped = False
        self.stamp: tuple[int, int] | None = None
        # The ids of the parameters that its latest optimiser moves.
        self.held: Collection[int] = ()
        self.clear()

    def clear(self) -> None:
        self.samples = self.entries = 0
        self.delta: Scalar = float("nan")
        self.activations: Activations | None = None

    def add(self, place: Place, samples: int) -> None:
        """Adds the gradient at one output."""
        assert place.square is not None
        # The mean over the batch put a factor of 1 / samples into every gradient; it is taken out here.
        self.delta = samples**2 * place.square + (self.delta if self.entries else 0.0)
        self.entries += place.entries
        seen = place.seen.activations if place.seen else None
        if seen:
            self.shape = seen.shape
            self.activations = self.activations + seen if self.activations else seen

    def was_thrown_away(self) -> bool:
        """Whether the gradient that the latest pass left was set to None or to zeros since, as far as autograd knows."""
        parameter = self.parameter
        stamp = stamp_of(parameter)
        if parameter is None or stamp == self.stamp:
            # The latest pass left nothing (`autograd.grad`), or what it left is still there.
            return stamp is None
        return parameter.grad is None or not bool(parameter.grad.any())

    @property
    def parameter(self) -> nn.Parameter | None:
        """The first one that is to be trained; of those that an optimiser holds, once one has stepped."""
        trained = [parameter for parameter in self.layer.parameters if parameter.requires_grad]
        return next((parameter for parameter in trained if id(parameter) in self.held), trained[0] if trained else None)


def stamp_of(parameter: nn.Parameter | None) -> tuple[int, int] | None:
    """Tells the gradient that a parameter has now from any later one."""
    if parameter is None or parameter.grad is None:
        return None
    return id(parameter.grad), version_of(parameter.grad)
