"""Whether the gradient of a recurrent layer reaches the oldest time steps."""

from collections.abc import Collection
from math import log
from typing import Any

import numpy as np
from torch import nn

from gradpath.flow.in_time import FORWARDS
from gradpath.flow.record import Matrix, Record
from gradpath.verdict.findings import Finding
from gradpath.verdict.remedies import Remedy

# |delta| at the oldest state over the largest of all states, below which nothing can be learnt from it: float32 loses what
# is below 1e-7 of a sum. The limit is far below, so that a network that needs what is recent is not accused.
FORGOTTEN = 1e-10
# |delta| at the oldest state over that at the newest, above which it explodes. With a loss at each time step a healthy one
# grows with the number of time steps.
BLOWN_UP = 1e4


def read_in_time(record: Record) -> dict[str, dict[str, Any]]:
    """For each recurrent layer how |delta| changes over time, at the first step that showed it: the form in the verdict.

    steps: time steps. ratio: |delta| at the oldest state over the largest one. growth: over that at the newest state, None
    if that is zero.
    """
    found = {}
    for name, matrix in record.in_time.items():
        delta = _first_row(name, matrix)
        if delta is not None:
            growth = float(delta[0] / delta[-1]) if delta[-1] else None
            found[name] = {"steps": len(delta), "ratio": float(delta[0] / delta.max()), "growth": growth}
    return found


def not_read_in_time(readings: Collection[str], model: nn.Module) -> dict[str, str]:
    """For each recurrent layer of which nothing is known in time, why."""
    known = {_layer(name) for name in readings}
    return {
        name: _why(module)
        for name, module in model.named_modules()
        if isinstance(module, nn.RNNBase | nn.RNNCellBase) and name not in known
    }


def _why(module: nn.RNNBase | nn.RNNCellBase) -> str:
    if isinstance(module, nn.RNNBase) and type(module).forward not in FORWARDS:
        return "its forward is another than torch's"
    if isinstance(module, nn.RNNBase) and module.num_layers > 1 and module.dropout:
        return "it is a stack with dropout, and which states were dropped is not known"
    return "no gradient came to two of its states or more in a measured step"


def _layer(name: str) -> str:
    """The module's name, of `rnn`, `rnn[1]`, `rnn reverse` or `rnn#2`."""
    return name.split(" ")[0].split("[")[0].split("#")[0]


def findings_in_time(readings: dict[str, dict[str, Any]], model: nn.Module) -> list[Finding]:
    """The worst of what was read, if it is bad."""
    if not readings:
        return []
    name, worst = min(readings.items(), key=lambda pair: pair[1]["ratio"])
    if worst["ratio"] < FORGOTTEN:
        size = f"{1 / worst['ratio']:.2g}x" if worst["ratio"] else "out of all measure"
        message = f"the gradient at the states of {name} shrinks {size} over {worst['steps']} time steps, back to the oldest"
        return [Finding("vanishing_in_time", "recurrence", name, message, _remedy(model, name, worst["steps"]))]
    name, worst = max(readings.items(), key=lambda pair: pair[1]["growth"] or 0.0)
    if (worst["growth"] or 0.0) > BLOWN_UP:
        message = f"the gradient at the states of {name} grows {worst['growth']:.2g}x over {worst['steps']} time steps"
        remedy = Remedy("", "an orthogonal recurrent weight (nn.init.orthogonal_), or clipped gradients")
        return [Finding("exploding_in_time", "recurrence", name, message, remedy)]
    return []


def _first_row(name: str, matrix: Matrix) -> Matrix | None:
    """|delta| at the first measured step in which there was any, oldest state first."""
    for row in matrix:
        delta: Matrix = row[~np.isnan(row)]
        if len(delta) > 1 and np.isfinite(delta).all() and delta.max() > 0:
            return delta[::-1] if name.endswith(" reverse") else delta
    return None


def _remedy(model: nn.Module, name: str, steps: int) -> Remedy:
    """A gate that keeps the state for as many steps (Tallec & Ollivier 2018), unless there is one."""
    module: Any = dict(model.named_modules()).get(_layer(name))
    kept, gates = log(steps), {"LSTM": "forget", "LSTMCell": "forget", "GRU": "update", "GRUCell": "update"}
    gate = gates.get(type(module).__name__)
    if gate is None:
        return Remedy("", f"nn.LSTM whose forget gates have a bias of log({steps}) = {kept:.2g}")
    width = module.hidden_size
    biases = [p.detach() for n, p in module.named_parameters(recurse=False) if n.startswith("bias")]
    # The gates are i, f, g, o in the one and r, z, n in the other.
    own = sum(float(bias[width : 2 * width].mean()) for bias in biases) / max(1, len(biases) / 2)
    if own > kept / 2:
        return Remedy("", f"fewer than {steps} time steps, or attention to them")
    return Remedy("", f"{gate} gates with a bias of log({steps}) = {kept:.2g} (bias_hh[{width}:{2 * width}])")
