"""Will a network of this depth train? Schoenholz et al. 2016: through about six depth scales."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import pairwise
from math import exp, inf, log
from statistics import fmean

from gradpath.theory.layers import Layer
from gradpath.theory.mean_field import LARGEST_Q, TRAINABLE, critical_sigma_w2, mean_field
from gradpath.theory.moments import both
from gradpath.theory.quadrature import Activation

# Depth scales through which a network trains by gradient descent (Schoenholz et al. 2016, fig. 5), and by an optimiser that
# divides each gradient by its own size, to which a faint one is as good as any (measured: docs/preflight.md).
PLAIN, ADAPTIVE = TRAINABLE, 4 * TRAINABLE


@dataclass(frozen=True)
class Outlook:
    """What theory says of training before it begins.

    depth: hidden layers. scales: 6 or 24. limit: the depth that a network with these weights can have; inf where any.
    sigma_w2, sigma_b2: means over the hidden layers behind the first. xi_c: inf at the edge of chaos, None where the length
    map has no fixed point and the limit comes from the gradient's own growth. critical: for a network that will not train
    sigma_w^2 of `init=critical`, None where there is none.
    """

    depth: int
    scales: float
    limit: float
    sigma_w2: float
    sigma_b2: float
    xi_c: float | None
    critical: float | None

    @property
    def trains(self) -> bool:
        return self.depth <= self.limit

    def as_dict(self) -> dict[str, float | bool | None]:
        """As `result.json` has it: None for what is infinite."""
        values = {name: None if value == inf else value for name, value in asdict(self).items()}
        return {**values, "trains": self.trains}


def outlook(activation: Activation, layers: Sequence[Layer], input_norm: float, adaptive: bool) -> Outlook | None:
    """Of the hidden layers of a network without normalisation, in order of depth; None with fewer than two.

    Behind a fixed point of the length map the limit is a number of depth scales xi_c. Where q goes to 0 or to infinity there
    is no such scale, and the limit is where |delta|^2 has changed by as many factors of e, layer by layer.

    Args:
        input_norm: |x|^2 / n_0 of the inputs. adaptive: the optimiser divides gradients by their size (Adam and its kin).
    """
    if len(layers) < 2:
        return None
    depth, scales = len(layers), ADAPTIVE if adaptive else PLAIN
    sigma_w2, sigma_b2 = fmean(row.sigma_w2 for row in layers[1:]), fmean(row.sigma_b2 for row in layers[1:])
    if not sigma_w2 > 0:
        return None
    field = mean_field(activation, sigma_w2, sigma_b2)
    settles = 0 < field.q_star < inf
    limit = scales * field.xi_c if settles else _grown(activation, layers, input_norm, scales)
    critical = None
    if depth > limit:
        with suppress(ValueError):
            critical = critical_sigma_w2(activation, sigma_b2, input_norm, depth)
    return Outlook(depth, scales, limit, sigma_w2, sigma_b2, field.xi_c if settles else None, critical)


def _grown(activation: Activation, layers: Sequence[Layer], input_norm: float, most: float) -> float:
    """The depth at which log |delta|^2 has changed by `most` from the first layer on; inf where it never does."""
    total, moment = 0.0, input_norm
    for depth, (layer, above) in enumerate(pairwise(layers), 1):
        q = layer.sigma_w2 * moment + layer.sigma_b2
        if not q < LARGEST_Q:
            return depth
        moment, slopes = both(activation, q)
        total += log(max(above.sigma_w2 * slopes, exp(-700.0)))
        if abs(total) > most:
            return depth
    return inf
