"""Will a network of this depth train? Schoenholz et al. 2016: through about six depth scales."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import chain, pairwise, repeat
from math import exp, inf, log
from statistics import fmean

from gradpath.theory.layers import Layer, Scale
from gradpath.theory.mean_field import LARGEST_Q, TRAINABLE, critical_sigma_w2, mean_field
from gradpath.theory.moments import both
from gradpath.theory.quadrature import Activation

# Depth scales through which a network trains by gradient descent (Schoenholz et al. 2016, fig. 5), and by an optimiser that
# divides each gradient by its own size, to which a faint one is as good as any (measured: docs/outlook.md).
PLAIN, ADAPTIVE = TRAINABLE, 4 * TRAINABLE
# Layers beyond the network's own that are looked at; steps that differ by less are the same; depths that count as any.
DEEPEST, SETTLED, ENDLESS = 300, 1e-9, 1e4


@dataclass(frozen=True)
class Outlook:
    """What theory says of training before it begins.

    depth: hidden layers. scales: 6 or 24. limit: the depth that a network with these weights can have; inf where any.
    sigma_w2, sigma_b2: means over the hidden layers behind the first. xi_c: inf at the edge of chaos, None where the length
    map has no fixed point and the limit comes from the gradient's own growth. critical: for a network that will not train
    sigma_w^2 of `init=critical`, None where that would not train either.
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
        """As `result.json` has it: the limit None where any depth trains."""
        return {**asdict(self), "limit": None if self.limit == inf else self.limit, "trains": self.trains}


def outlook(
    activation: Activation, layers: Sequence[Layer], input_norm: float, adaptive: bool, critical_sigma_b2: float = 0.0
) -> Outlook | None:
    """Of the hidden layers of a network without normalisation, in order of depth; None with fewer than two.

    Behind a fixed point of the length map the limit is a number of depth scales xi_c. Where q goes to 0 or to infinity there
    is no such scale, and the limit is where |delta|^2 has changed by as many factors of e, layer by layer.

    Args:
        input_norm: |x|^2 / n_0 of the inputs. adaptive: the optimiser divides gradients by their size (Adam and its kin).
        critical_sigma_b2: of the biases that `init=critical` would draw.
    """
    if len(layers) < 2:
        return None
    depth, scales = len(layers), ADAPTIVE if adaptive else PLAIN
    sigma_w2, sigma_b2 = fmean(row.sigma_w2 for row in layers[1:]), fmean(row.sigma_b2 for row in layers[1:])
    if not sigma_w2 > 0:
        return None
    limit, xi_c = _limit(activation, layers, sigma_w2, sigma_b2, input_norm, scales)
    critical = None
    if depth > limit:
        with suppress(ValueError):
            critical = critical_sigma_w2(activation, critical_sigma_b2, input_norm, depth)
    # No remedy if it would not train either, or only as long as nothing is off by a hundredth: unstable lengths.
    if critical is not None and any(
        depth > _limit(activation, [], near * critical, critical_sigma_b2, input_norm, scales)[0] for near in (0.99, 1.01)
    ):
        critical = None
    return Outlook(depth, scales, limit, sigma_w2, sigma_b2, xi_c, critical)


def _limit(
    activation: Activation,
    layers: Sequence[Layer],
    sigma_w2: float,
    sigma_b2: float,
    input_norm: float,
    scales: float,
) -> tuple[float, float | None]:
    """The depth that trains, and xi_c where there is a fixed point."""
    field = mean_field(activation, sigma_w2, sigma_b2)
    if 0 < field.q_star < inf:
        return scales * field.xi_c, field.xi_c
    return _grown(activation, layers, Scale("", 1, sigma_w2, sigma_b2), input_norm, scales), None


def _grown(activation: Activation, layers: Sequence[Layer], further: Layer, input_norm: float, most: float) -> float:
    """The depth at which log |delta|^2 has changed by `most` from the first layer on, in `layers` and, beyond, in as many
    `further` ones as it takes; inf where it does not."""
    total, step, moment = 0.0, 0.0, input_norm
    for depth, (layer, above) in enumerate(pairwise(chain(layers, repeat(further, DEEPEST))), 1):
        q = layer.sigma_w2 * moment + layer.sigma_b2
        if not q < LARGEST_Q:
            return depth
        moment, slopes = both(activation, q)
        before, step = step, log(max(above.sigma_w2 * slopes, exp(-700.0)))
        total += step
        if abs(total) > most:
            return depth
        if depth > len(layers) and abs(step - before) < SETTLED:
            # From here on every step is the same.
            left = (most - total if step > 0 else most + total) / abs(step) if step else inf
            return depth + left if depth + left < ENDLESS else inf
    return inf
