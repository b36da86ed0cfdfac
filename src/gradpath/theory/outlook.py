"""Will a network of this depth train? Schoenholz et al. 2016: up to about six depth scales."""

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

# PLAIN: depth scales through which gradient descent trains a network (Schoenholz et al. 2016, fig. 5). ADAPTIVE: the same
# for optimisers that divide each gradient by its own size and so can use faint ones (measured: docs/outlook.md).
PLAIN, ADAPTIVE = TRAINABLE, 4 * TRAINABLE
# What an outlook says. A network of up to HOPELESS times its limit may train all the same (measured: docs/outlook.md).
TRAINS, UNCERTAIN, WILL_NOT_TRAIN = "trains", "uncertain", "will not train"
HOPELESS = 2
# DEEPEST: layers that are followed beyond the network's own. SETTLED: steps that differ by less count as equal. ENDLESS: a
# limit above this counts as no limit.
DEEPEST, SETTLED, ENDLESS = 300, 1e-9, 1e4


@dataclass(frozen=True)
class Outlook:
    """What theory says about training before it begins.

    depth: number of hidden layers.
    scales: 6 or 24, how many depth scales a network may have.
    limit: the depth up to which a network with these weights should train; inf if there is none.
    sigma_w2, sigma_b2: means over all hidden layers but the first.
    xi_c: the depth scale; inf at the edge of chaos. None if the length map has no fixed point; the limit then comes from the
        growth of the gradient itself.
    critical: the sigma_w^2 of `init=critical`, if this network is past its limit and that one is not; else None.
    """

    depth: int
    scales: float
    limit: float
    sigma_w2: float
    sigma_b2: float
    xi_c: float | None
    critical: float | None

    @property
    def says(self) -> str:
        return said(self.depth, self.limit)

    def as_dict(self) -> dict[str, float | str | None]:
        """The content of `result.json`; `limit` is None if there is none."""
        return {**asdict(self), "limit": None if self.limit == inf else self.limit, "says": self.says}


def said(depth: int, limit: float) -> str:
    """TRAINS up to the limit, UNCERTAIN up to HOPELESS times the limit, WILL_NOT_TRAIN beyond."""
    return TRAINS if depth <= limit else UNCERTAIN if depth <= HOPELESS * limit else WILL_NOT_TRAIN


def outlook(
    activation: Activation, layers: Sequence[Layer], input_norm: float, adaptive: bool, critical_sigma_b2: float = 0.0
) -> Outlook | None:
    """The outlook for a network without normalisation; None with fewer than two hidden layers or with weights of zero.

    If the length map has a fixed point, the limit is a number of depth scales xi_c. If q goes to 0 or to infinity, there is
    no such scale. The limit is then the depth at which |delta|^2 has changed by as many factors of e, followed layer by
    layer.

    Args:
        layers: the hidden layers in order of depth.
        input_norm: |x|^2 / n_0 of the inputs.
        adaptive: whether the optimiser divides gradients by their size, as Adam does.
        critical_sigma_b2: variance of the biases that `init=critical` would draw.
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
    # `critical` is no remedy if it would not train either, or not with sigma_w^2 off by 1 % (unstable lengths).
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
    """The depth up to which training should work, and xi_c if the length map has a fixed point, else None."""
    field = mean_field(activation, sigma_w2, sigma_b2)
    if 0 < field.q_star < inf:
        return scales * field.xi_c, field.xi_c
    return _grown(activation, layers, Scale("", 1, sigma_w2, sigma_b2), input_norm, scales), None


def _grown(activation: Activation, layers: Sequence[Layer], further: Layer, input_norm: float, most: float) -> float:
    """The depth at which log |delta|^2 has changed by `most`, counted from the first layer; inf if it never does.

    The path runs through `layers` and then through up to DEEPEST copies of `further`.
    """
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
            # All further steps are equal.
            left = (most - total if step > 0 else most + total) / abs(step) if step else inf
            return depth + left if depth + left < ENDLESS else inf
    return inf
