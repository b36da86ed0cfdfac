"""Layers that start at zero on purpose: adapters (LoRA), zero convolutions, the gates of flows and of diffusion models.

Below such a layer there is no gradient at the first step, and a small one for as long as the layer is small. That is no
fault of what lies below. Its size is known, so the gradient is read as it will be when the layer has its usual size.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from gradpath.flow.kinds import is_bias
from gradpath.flow.record import Record
from gradpath.flow.way_norms import EARLY

# The usual size of a gate, and the factors of zero that may lie behind each other.
GATE, DEEPEST = 0.1, 8


@dataclass(frozen=True)
class ZeroStarts:
    """What started at zero, and moves.

    sizes: for each such layer |W| over that of a weight as torch draws it, at the step whose gradients are read. silent: the
    places at which the gradient was exactly zero at an early step.
    """

    sizes: Mapping[str, float]
    silent: frozenset[str]

    def corrected(
        self, stations: Sequence[str], deltas: Sequence[float], beside: Mapping[str, Sequence[str]]
    ) -> tuple[list[float], list[str]]:
        """|delta| at the stations, first layer first, as if these layers had their usual size; and which lie on the way.

        The gradient never becomes larger over such a layer by that. Where one still is exactly zero, NaN.
        """
        found, names = [*deltas], []
        for place in range(len(stations) - 2, -1, -1):
            above = (stations[place + 1], *beside.get(stations[place + 1], ()))
            zero = [name for one in above if (name := one.partition("#")[0]) in self.sizes]
            if not zero or stations[place].partition("#")[0] not in self.silent or not deltas[place + 1] > 0:
                continue
            size, factor = max(self.sizes[name] for name in zero), deltas[place] / deltas[place + 1]
            names += zero
            now = float("nan") if size == 0 else max(factor, min(1.0, factor / size))
            for below in range(place + 1):
                found[below] *= now / factor if factor else now
        return found, sorted({*names})


NONE_STARTS = ZeroStarts({}, frozenset())


def zero_starts(record: Record, row: int, usual: Mapping[str, float]) -> ZeroStarts:
    """The layers that were exactly zero at the first measured step, and to which a gradient came.

    Args:
        row: the row of the record that is read. usual: |W| as torch draws it, of the layers that are to be trained.
    """
    if not record.steps:
        return NONE_STARTS
    weight, gradient, delta = (record.matrix(name) for name in ("weight_norm", "weight_grad_norm", "delta"))
    sizes = {}
    for column, name in enumerate(record.layers):
        if weight[0, column] == 0 and name in usual and (gradient[:, column] > 0).any():
            sizes[name] = float(np.nan_to_num(weight[row, column])) / usual[name]
    silent = (name for column, name in enumerate(record.layers) if (delta[:EARLY, column] == 0).any())
    return ZeroStarts(sizes, frozenset(silent))


def usual_norm(weights: Iterable[Tensor]) -> float:
    """|W| of weights as torch draws them: their entries have a variance of 1 / (3 fan_in); of gates, GATE each."""
    return float(sum(w.shape[0] / 3 if w.ndim > 1 else w.numel() * GATE**2 for w in weights) ** 0.5) or 1.0


@contextmanager
def moved_from_zero(model: nn.Module, one_pass: Callable[[], None]) -> Iterator[None]:
    """Moves factors that are exactly zero against their gradients for a block, each to its usual size.

    What gets no gradient, because another factor of zero lies above it, is moved after that one; what never gets any stays.

    Args:
        one_pass: computes the gradients. It is not called where nothing is zero.
    """
    zero = [p for p in _factors(model) if not p.detach().any()]
    waiting, generators = zero, torch.get_rng_state()
    try:
        for _ in range(DEEPEST if zero else 0):
            one_pass()
            torch.set_rng_state(generators)
            found = [p for p in waiting if p.grad is not None and _is_usable(p.grad)]
            waiting = [p for p in waiting if not any(p is one for one in found)]
            with torch.no_grad():
                for p in found:
                    assert p.grad is not None
                    p.sub_(p.grad, alpha=float(usual_norm([p]) / p.grad.norm()))
            if not found or not waiting:
                break
        yield
    finally:
        with torch.no_grad():
            for p in zero:
                p.zero_()


def _is_usable(gradient: Tensor) -> bool:
    return gradient.layout == torch.strided and bool(gradient.isfinite().all() and gradient.any())


def _factors(model: nn.Module) -> Iterator[nn.Parameter]:
    """Parameters that multiply: all but biases."""
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and not is_lazy(parameter) and parameter.is_floating_point() and not is_bias(name):
            yield parameter


def why_not_yet(names: Sequence[str]) -> str:
    """Why there is no class while such layers have not moved."""
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{names[0]}{more} starts at zero, and lets no gradient through until a step has moved it"
