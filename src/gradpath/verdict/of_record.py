"""The verdict on a record: what a network suffered from, told from the numbers of its training in anybody's loop."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from torch import nn

from gradpath.flow.profile import LayerFlow
from gradpath.flow.record import Record
from gradpath.verdict.at_start import MOST, Finding, anatomy, in_pytorch
from gradpath.verdict.divergence import first_not_finite
from gradpath.verdict.reading import read, verdict


@dataclass(frozen=True)
class Layer:
    """What a record does not say of its layers.

    sigma_w2, sigma_b2, symmetric: at the start, as `profile.scales_of` has them.
    """

    width: int
    sigma_w2: float
    sigma_b2: float
    symmetric: bool


def diagnose(model: nn.Module, record: Record, layers: Sequence[Layer]) -> dict[str, Any]:
    """What the first measured step says, as `verdict.verdict` has it; `end`: the reading of the last; `diverged`: where NaN
    or Inf came first, or None. Remedies are in PyTorch's words.

    Args:
        layers: of the record's columns.
    """
    network = anatomy(model)
    used = _reached(record, 0)
    profile = [_first(record, index, layers[index]) for index in used]
    found = verdict(profile, network)
    for finding in found["findings"]:
        finding["remedy"] = in_pytorch(finding["remedy"], found["rate_per_layer"], profile[:-1], network)
    last = read(record.row(-1)["delta"][_reached(record, -1)[:-1]].tolist()).as_dict() if record.steps else None
    first = first_not_finite(record)
    if first:
        cause = found["findings"][0]["cause"] if found["findings"] else "learning rate"
        message, remedy = f"the first NaN or Inf came at {first}", "a smaller learning rate"
        remedy = found["findings"][0]["remedy"] if found["findings"] else remedy
        finding = Finding("divergence", cause, first.layer, message, remedy)
        found["findings"] = [*found["findings"][:1], asdict(finding), *found["findings"][1:]][:MOST]
    return {**found, "end": last, "diverged": str(first) if first else None}


def _reached(record: Record, row: int) -> list[int]:
    """The columns of the layers through which a gradient came."""
    return np.flatnonzero(~np.isnan(record.row(row)["delta"])).tolist() if record.steps else []


def _first(record: Record, index: int, layer: Layer) -> LayerFlow:
    """One layer at the first measured step."""
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
