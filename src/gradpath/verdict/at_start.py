"""Findings at the start: what is wrong with a network, why, and what to type, in few words, the cause first."""

from collections.abc import Sequence
from math import isfinite, log
from typing import Protocol

import torch
from torch import nn

from gradpath.theory import layers
from gradpath.theory.lengths import average_path
from gradpath.theory.mean_field import critical_sigma_w2
from gradpath.verdict.anatomy import Anatomy
from gradpath.verdict.findings import MOST, Finding
from gradpath.verdict.remedies import OPEN, RELU, RELU_AND_HE, Remedy, critical, critical_without_norm, shallower

# No standard scheme, tanh's gain squared and He's included, draws a larger sigma_w^2. If one is needed, the activation is at
# fault.
STANDARD_SCALE = 4.0
# He's sigma_w^2, used if no critical one is known.
DEFAULT = 2.0
# Two sigma_w^2 count as one if their ratio is closer than ALIKE to 1. Inputs with LENGTHS times the average |x|^2 stand
# for all inputs.
ALIKE, LENGTHS = 0.03, (0.5, 1.0, 1.5)
# Largest fraction of saturated activations and of dead units in a layer; a network that trains well stays far below.
SATURATED, DEAD = 0.6, 0.9
# Two inputs collapse if 1 - correlation is at least DIFFERENT in the first hidden layer and below COLLAPSED in the last.
COLLAPSED, DIFFERENT = 1e-3, 1e-2


class Layer(layers.Layer, Protocol):
    """The fields of a profile's row that findings read; `LayerFlow` has them."""

    @property
    def q(self) -> float: ...
    @property
    def delta(self) -> float: ...
    @property
    def saturated(self) -> float | None: ...
    @property
    def dead(self) -> float | None: ...
    @property
    def correlation(self) -> float | None: ...
    @property
    def symmetric(self) -> bool: ...


def findings_at_start(kind: str | None, rate: float | None, profile: Sequence[Layer], network: Anatomy) -> list[Finding]:
    """What the initialised network suffers from, the cause first; an empty list for a healthy one.

    Args:
        kind: "vanishing", "exploding", "healthy" or None. rate: the factor of |delta| per layer towards the input.
    """
    hidden = profile[:-1]
    symmetric = next((row for row in hidden if row.symmetric), None)
    if symmetric:
        message = "all units have the same weights, get the same gradients, and stay the same"
        return [
            Finding("symmetry", "symmetry", symmetric.layer, message, critical(_needed(rate, hidden, network) or DEFAULT))
        ]
    found: list[Finding | None] = []
    if kind in ("vanishing", "exploding"):
        cause, why, remedy = _cause(kind, rate, hidden, network)
        pace = f"{max(rate, 1 / rate):.3g}x per layer" if rate and isfinite(rate) else "at once"
        verb = "shrinks" if kind == "vanishing" else "grows"
        found.append(
            Finding(kind, cause, hidden[0].layer, f"the gradient {verb} {pace} on its way to the input: {why}", remedy)
        )
        found += [_saturation(hidden, cause, remedy), _collapse(hidden, cause, remedy)]
    found.append(_dead(rate, hidden, network, found[0] if found else None))
    return [finding for finding in found if finding][:MOST]


def _cause(kind: str, rate: float | None, hidden: Sequence[Layer], network: Anatomy) -> tuple[str, str, Remedy]:
    """The cause, the reason and the remedy for a gradient that vanishes or explodes."""
    depth, width = len(hidden), hidden[-1].width
    if network.norm and kind == "exploding" and (network.norm == "BatchNorm" or network.after):
        why = f"{network.norm} over {depth} layers multiplies it at every one"
        return network.norm, why, critical_without_norm(_needed(rate, hidden, network) or DEFAULT)
    if network.norm:
        why = f"{network.name} loses it, and {network.norm} makes it independent of the initial scale"
        return "activation", why, RELU
    shut = next((row.layer for row in hidden if (row.dead or 0) == 1), None)
    if kind == "vanishing" and shut and network.activation and not _theory_agrees(kind, hidden, network.activation):
        return "dead units", f"no unit of {shut} is above zero for any sample, so nothing passes", OPEN
    if network.activation and not _theory_agrees(kind, hidden, network.activation):
        why = f"{depth} layers of {width} units are too deep for their width, at any initial scale"
        return "depth", why, shallower(_trainable_depth(hidden), width)
    drawn, needed = _drawn(hidden), _needed(rate, hidden, network)
    if needed is None or needed > STANDARD_SCALE:
        steepest = f" has a slope of at most {_steepest(network.activation):.3g}, and" if network.activation else ""
        return "activation", f"{network.name}{steepest} loses it at every layer", RELU_AND_HE
    if network.activation and abs(drawn / needed - 1) < ALIKE:
        why = f"at its critical sigma_w^2 of {needed:.3g} {network.name} is unstable: long inputs grow on their way"
        return "activation", why, RELU_AND_HE
    default = " (PyTorch's default)" if abs(drawn - 1 / 3) < 0.02 else ""
    why = f"sigma_w^2 is {drawn:.3g}{default}; {network.name} over {depth} layers needs {needed:.3g}"
    return "initial scale", why, critical(needed)


def _drawn(hidden: Sequence[Layer]) -> float:
    """sigma_w^2 of the network as it is, read at its middle hidden layer."""
    return hidden[len(hidden) // 2].sigma_w2


def _needed(rate: float | None, hidden: Sequence[Layer], network: Anatomy) -> float | None:
    """The critical sigma_w^2 for this depth, None if there is none.

    For an activation that cannot be seen it is estimated: the sigma_w^2 at which the measured rate would be 1 if phi' stayed
    as it is (|delta|^2 grows by sigma_w^2 D). An estimate from 2 to STANDARD_SCALE becomes He's 2, because most slopes grow
    as activations grow.
    """
    if network.activation is None:
        estimate = _drawn(hidden) / rate**2 if rate and isfinite(rate) else 2.0
        if not isfinite(estimate):
            # Of weights whose scale is not known: functions use them, or they are complex.
            return None
        return estimate if estimate > STANDARD_SCALE else min(estimate, 2.0)
    try:
        return critical_sigma_w2(network.activation, hidden[-1].sigma_b2, _input_norm(hidden[0]), len(hidden))
    except (ValueError, RuntimeError):
        return None


def _theory_agrees(kind: str, hidden: Sequence[Layer], activation: nn.Module) -> bool:
    """Whether a wide network of these scales would be as sick, within a factor of 10 of the limits.

    If so, the failure is not bad luck.
    """
    try:
        _, (ratio, *_) = average_path(activation, hidden, [share * _input_norm(hidden[0]) for share in LENGTHS])
    except (RuntimeError, OverflowError):
        return True
    return ratio < 1e-1 if kind == "vanishing" else not ratio <= 1e1


def _input_norm(first: Layer) -> float:
    """|x|^2 / n_0 of the data, from q^1 = sigma_w^2 |x|^2 / n_0 + sigma_b^2."""
    if not (first.sigma_w2 > 0 and isfinite(first.q)):
        return 1.0
    return max((first.q - first.sigma_b2) / first.sigma_w2, 1e-6)


def _trainable_depth(hidden: Sequence[Layer]) -> int:
    """The depth over which |delta| changes by a factor of 10 at the measured rate, at least 2."""
    ends = hidden[0].delta, hidden[-1].delta
    if not all(isfinite(end) and end > 0 for end in ends):
        return 2
    return max(2, int(len(hidden) * log(10) / abs(log(ends[0] / ends[1]))))


def _steepest(activation: nn.Module | None) -> float:
    """The largest |phi'| on [-10, 10]."""
    h = torch.linspace(-10, 10, 2001, dtype=torch.float64, requires_grad=True)
    with torch.enable_grad():
        (slope,) = torch.autograd.grad((activation or nn.Identity())(h).sum(), h)
    return slope.abs().max().item()


def _saturation(hidden: Sequence[Layer], cause: str, remedy: Remedy) -> Finding | None:
    worst = max(hidden, key=lambda row: row.saturated or 0)
    if (worst.saturated or 0) <= SATURATED:
        return None
    message = f"{worst.saturated:.0%} of the activations sit at a bound, where the slope is near 0"
    return Finding("saturation", cause, worst.layer, message, remedy)


def _collapse(hidden: Sequence[Layer], cause: str, remedy: Remedy) -> Finding | None:
    first, last = hidden[0].correlation, hidden[-1].correlation
    if first is None or last is None or 1 - first < DIFFERENT or 1 - last >= COLLAPSED:
        return None
    message = f"two different inputs look the same here: correlation 1 - {max(1 - last, 0):.1g}"
    return Finding("correlation_collapse", cause, hidden[-1].layer, message, remedy)


def _dead(rate: float | None, hidden: Sequence[Layer], network: Anatomy, first: Finding | None) -> Finding | None:
    worst = max(hidden, key=lambda row: row.dead or 0, default=None)
    if worst is None or (worst.dead or 0) <= DEAD:
        return None
    message = f"{worst.dead:.0%} of the units are zero for every sample"
    if first and first.cause == "dead units":
        return Finding("dead_units", first.cause, worst.layer, message, first.remedy)
    return Finding("dead_units", "initial scale", worst.layer, message, critical(_needed(rate, hidden, network) or DEFAULT))
