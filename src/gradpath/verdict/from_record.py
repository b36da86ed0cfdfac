"""The verdict on a record: what a network suffered from, judged by what was measured while any loop trained it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import nn

from gradpath.flow.profile import LayerFlow
from gradpath.flow.record import Record
from gradpath.verdict.anatomy import anatomy
from gradpath.verdict.divergence import first_not_finite
from gradpath.verdict.findings import MOST, Finding
from gradpath.verdict.gradient_class import read
from gradpath.verdict.remedies import Remedy
from gradpath.verdict.verdict import verdict

# A record does not hold the learning rate, so no number can be named.
SMALLER_RATE = Remedy("optimizer.lr=...", "a smaller learning rate")


@dataclass(frozen=True)
class Layer:
    """What a record does not say about a layer.

    width: number of units. sigma_w2, sigma_b2, symmetric: at the start, as `profile.scales_of` returns them.
    """

    width: int
    sigma_w2: float
    sigma_b2: float
    symmetric: bool


def diagnose(model: nn.Module, record: Record, layers: Sequence[Layer]) -> dict[str, Any]:
    """The verdict on the first measured step, with the reading of the last one as `end`.

    It has the form of `Verdict.as_dict`, with remedies in PyTorch's words, and `diverged`: where NaN or Inf came first, or
    None.

    Args:
        layers: one for each column of the record.
    """
    used = _reached(record, 0)
    found = verdict([_first(record, index, layers[index]) for index in used], anatomy(model))
    end = read(record.row(-1)["delta"][_reached(record, -1)[:-1]].tolist()) if record.steps else None
    first = first_not_finite(record)
    findings = list(found.findings)
    if first:
        cause, remedy = (findings[0].cause, findings[0].remedy) if findings else ("learning rate", SMALLER_RATE)
        message = f"the first NaN or Inf came at {first}"
        findings = [*findings[:1], Finding("divergence", cause, first.layer, message, remedy), *findings[1:]][:MOST]
    whole = replace(found, findings=findings, end=end)
    return {**whole.as_dict("pytorch"), "diverged": str(first) if first else None}


def _reached(record: Record, row: int) -> list[int]:
    """The columns of the layers that a gradient reached in row `row` of the record."""
    return np.flatnonzero(~np.isnan(record.row(row)["delta"])).tolist() if record.steps else []


def _first(record: Record, index: int, layer: Layer) -> LayerFlow:
    """One layer at the first measured step, as a profile's row."""
    row = record.row(0)

    def value(name: str) -> float | None:
        return float(row[name][index]) if name in row and np.isfinite(row[name][index]) else None

    return LayerFlow(
        layer=record.layers[index],
        width=layer.width,
        sigma_w2=layer.sigma_w2,
        sigma_b2=layer.sigma_b2,
        q=float("nan"),
        delta=float(row["delta"][index]),
        weight_grad_norm=float(row["weight_grad_norm"][index]),
        weight_norm=float(row["weight_norm"][index]),
        symmetric=layer.symmetric,
        saturated=value("saturated"),
        dead=value("dead"),
        correlation=value("correlation"),
    )
