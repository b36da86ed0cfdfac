"""The verdict on a record: what a network suffered from, judged by what was measured while any loop trained it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan, nan
from typing import Any

import numpy as np
from torch import nn

from gradpath.flow.loop import Loop
from gradpath.flow.profile import LayerFlow
from gradpath.flow.record import Record
from gradpath.flow.way_norms import EARLY, WayNorms
from gradpath.verdict.along_ways import Scales, is_plain, single, verdict_along, worst_way
from gradpath.verdict.anatomy import anatomy
from gradpath.verdict.divergence import Divergence, first_not_finite
from gradpath.verdict.findings import MOST, Finding
from gradpath.verdict.gradient_class import NO_PLACES, Reading, read, undecided
from gradpath.verdict.in_a_loop import course_of, why_not_finite
from gradpath.verdict.in_training import findings_in_training
from gradpath.verdict.starts_at_zero import why_not_yet, zero_starts
from gradpath.verdict.through_time import findings_in_time, not_read_in_time, read_in_time
from gradpath.verdict.verdict import Verdict, verdict
from gradpath.verdict.wiring import NOWHERE, findings_on_wiring

# The least share of the trainable weights that must have been seen for a class.
LEAST = 0.9
# So many names stand in a sentence.
NAMED = 4


@dataclass(frozen=True)
class Layer:
    """What a record does not say about a layer.

    width: number of units, or None. sigma_w2, sigma_b2, symmetric: at the start, as `profile.scales_of` returns them.
    entries: of its weights. trains: they are to be trained. unreached: it was called, and no gradient came back. usual: |W|
    as torch draws it. held: an optimiser moves some of its parameters.
    """

    width: int | None
    sigma_w2: float
    sigma_b2: float
    symmetric: bool
    entries: int = 1
    trains: bool = True
    unreached: bool = False
    usual: float = 1.0
    held: bool = False


def diagnose(
    model: nn.Module,
    record: Record,
    layers: Mapping[str, Layer],
    ways: WayNorms | None = None,
    loop: Loop | None = None,
) -> dict[str, Any]:
    """The verdict on the first measured step, with the reading of the last one as `end`.

    It has the form of `Verdict.as_dict`, with remedies in PyTorch's words, and

    way: the stations along which the class was read, first layer first; None if there are not two.
    starts_at_zero: the layers on it that started at zero, and whose small size the class leaves out.
    coverage: `share` of the trainable weights whose layers a gradient was seen to reach (None if there are none), and the
        names of the `missing` ones. Below a share of 0.9 there is no class.
    in_time: for each recurrent layer how |delta| changes over time, as `read_in_time` returns it.
    not_in_time: for each other recurrent layer why nothing is known of it.
    unmeasured: a sentence that says why no step was measured, or None.
    diverged: where NaN or Inf came first, or None.

    Args:
        layers: by the names of the record's columns; the other columns are places where branches join.
        ways: what was seen along the ways of the gradient; None reads the record's columns as one way.
        loop: what was seen of the training beside its layers.
    """
    found, end, way, zero, used = _readings(model, record, layers, ways, loop)
    covered = ways.coverage if ways else None
    if record.steps and covered and covered.share is not None and covered.share < LEAST:
        others = [finding for finding in found.findings if finding.kind not in ("vanishing", "exploding")]
        known = all(name in record.layers and _has_weight_gradient(record, name) for name in covered.missing)
        end = undecided(only_seen(covered.share, covered.missing, known))
        found = replace(found, start=end, findings=others)
    first, findings = first_not_finite(record) or _infinite_loss(loop, used), list(found.findings)
    if first and loop:
        broken = why_not_finite(record, loop, first)
        if broken.cause in ("data", "targets or loss") and first.step == record.steps[0]:
            # Nothing was seen of the network itself.
            found, findings = replace(found, start=undecided("the first measured step was not finite")), []
        findings = [*findings[:1], broken, *findings[1:]][:MOST] if broken.cause == "unknown" else [broken, *findings][:MOST]
    elif loop and record.steps and used:
        sizes = {name: layers[name].entries for name in used}
        course = course_of(record, loop, used, sizes, (found.start, end))
        findings = findings_in_training(course, findings)
    if loop:
        # Below this share there is no class, and what was cut off may be why.
        low = covered is not None and covered.share is not None and covered.share < LEAST
        low = low and not (ways and ways.passes and not record.steps)
        findings = [*_on_wiring(record, loop, layers, low), *findings][:MOST]
    in_time = read_in_time(record)
    findings = [*findings, *findings_in_time(in_time, model)][:MOST]
    nothing = why_nothing(model, record, ways, loop)
    if nothing or any(finding.message == NOWHERE for finding in findings):
        found = replace(found, start=undecided(nothing or f"the backward pass reached no weight: {NOWHERE}"))
    whole = replace(found, findings=findings, end=end)
    return {
        **whole.as_dict("pytorch"),
        "way": way if len(way) > 1 else None,
        "starts_at_zero": zero,
        "coverage": covered and {"share": covered.share, "missing": [*covered.missing]},
        "in_time": in_time,
        "not_in_time": not_read_in_time(in_time, model),
        "unmeasured": nothing,
        "diverged": str(first) if first else None,
    }


def _readings(
    model: nn.Module, record: Record, layers: Mapping[str, Layer], ways: WayNorms | None, loop: Loop | None
) -> tuple[Verdict, Reading | None, list[str], list[str], list[str]]:
    """The verdict on the first step, the reading of the last, the way, what on it started at zero, the layers reached."""
    usual = {name: layer.usual for name, layer in layers.items() if layer.trains}
    row = _first_with_gradient(record, layers)
    used = _reached(record, row, layers)
    deltas, zero = zero_starts(record, row, usual).corrected(used, _deltas(record, row, used), {})
    found = verdict(
        [_first(record, row, name, layers[name], d) for name, d in zip(used, deltas, strict=True)], anatomy(model)
    )
    if zero and any(map(isnan, deltas)):
        found = replace(found, start=undecided(why_not_yet(zero)), findings=single(found))
    at_end = _reached(record, -1, layers)
    last, _ = zero_starts(record, -1, usual).corrected(at_end, _deltas(record, -1, at_end), {})
    end = read(last[:-1]) if record.steps else None
    scales = {name: Scales(of.width or 0, of.sigma_w2, of.sigma_b2) for name, of in layers.items() if of.sigma_w2 >= 0}
    known = all(name in scales for name in used[:-1])
    if not (ways and ways.first and ways.last) or (known and is_plain(ways.first, used)):
        return found, end, used[:-1], zero, used
    rows = (record.steps.index(step.number) for step in (ways.first, ways.last) if step.number in record.steps)
    first, latest = (zero_starts(record, row, usual) for row in [*rows, 0, 0][:2])
    samples = loop.samples.get(ways.first.number) if loop else None
    found, worst = verdict_along(ways.first, scales, found, anatomy(model), first, samples)
    worst_at_end = worst_way(ways.last, latest)
    end = worst_at_end.reading if worst_at_end else undecided(found.start.undecided or NO_PLACES)
    way = worst.stations if worst and (worst.reading.kind or worst.zero) else []
    return found, end, way, worst.zero if worst else [], used


def _on_wiring(record: Record, loop: Loop, layers: Mapping[str, Layer], low: bool) -> list[Finding]:
    """What is wrong with the loop itself. low: too little of the weights was seen for a class."""
    trained = [name for name, layer in layers.items() if layer.trains]
    lost = [name for name in trained if layers[name].unreached and not _has_weight_gradient(record, name)]
    if not record.steps and not (loop.ended or loop.strangers):
        return []
    return findings_on_wiring(record, loop, trained, [name for name in trained if layers[name].held], lost if low else [])


def only_seen(share: float, missing: Sequence[str], known: bool = False) -> str:
    """That too little of the weights was seen, and what was not. known: of these there is |dW|."""
    more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
    rest = ", of which |dW| alone is known" if known and missing else ""
    return f"only {share:.0%} of the weights were measured; not {', '.join(missing[:NAMED])}{more}{rest}"


def why_nothing(model: nn.Module, record: Record, ways: WayNorms | None, loop: Loop | None = None) -> str | None:
    """Why no step was measured, and what to do; None if one was."""
    if record.steps:
        return None
    if not any(parameter.requires_grad for parameter in model.parameters()):
        return "no step was measured: all of the model's parameters are frozen"
    if loop and loop.strangers and not loop.held:
        return "no step was measured: the optimisers that stepped hold none of the model's parameters"
    if ways and not ways.passes:
        return "no step was measured: no backward pass went through the model's layers inside the block"
    return "no step was measured: no torch.optim optimiser of the model's parameters made a step after a backward pass"


def _infinite_loss(loop: Loop | None, used: Sequence[str]) -> Divergence | None:
    """The first step whose loss was not finite, though all of the network was."""
    steps = [one.step for one in loop.glimpses() if np.isinf(one.loss)] if loop else []
    return Divergence(steps[0], used[-1] if used else "the model", "loss") if steps else None


def _first_with_gradient(record: Record, layers: Mapping[str, Layer]) -> int:
    """The row that is the start: the first, unless a layer of zeros let nothing through. Then the last of the early ones.

    Of these, one with a gradient at every layer is preferred, then one with a gradient below the output layer.
    """
    early = range(min(len(record.steps), EARLY))
    deltas = {row: [_value(record, row, name, "delta") for name in _reached(record, row, layers)[:-1]] for row in early}
    whole = [row for row in early if deltas[row] and all(deltas[row])]
    if 0 in whole:
        return 0
    some = [row for row in early if deltas[row] and deltas[row][-1]]
    return next(reversed(whole or some), 0)


def _reached(record: Record, row: int, layers: Mapping[str, Layer]) -> list[str]:
    """The layers that a gradient reached in row `row` of the record."""
    return [name for name in record.layers if name in layers and not np.isnan(_value(record, row, name, "delta"))] if (
        record.steps) else []  # fmt: skip


def _value(record: Record, row: int, layer: str, quantity: str) -> float:
    """One number of the record; NaN if the quantity was not asked for."""
    index = record.layers.index(layer)
    return float(record.rows[row][record.quantities.index(quantity)][index]) if quantity in record.quantities else nan


def _has_weight_gradient(record: Record, layer: str) -> bool:
    """Whether a gradient ever came to the layer's weights: then it is not cut off, whatever was seen at its output."""
    known = layer in record.layers
    return known and bool((record.matrix("weight_grad_norm")[:, record.layers.index(layer)] > 0).any())


def _deltas(record: Record, row: int, names: Sequence[str]) -> list[float]:
    return [_value(record, row, name, "delta") for name in names]


def _first(record: Record, row: int, name: str, layer: Layer, delta: float) -> LayerFlow:
    """One layer at the first measured step, as a profile's row."""

    def value(quantity: str) -> float | None:
        found = _value(record, row, name, quantity)
        return found if np.isfinite(found) else None

    return LayerFlow(
        layer=name,
        width=layer.width or 0,
        sigma_w2=layer.sigma_w2,
        sigma_b2=layer.sigma_b2,
        q=nan,
        delta=delta,
        weight_grad_norm=_value(record, row, name, "weight_grad_norm"),
        weight_norm=_value(record, row, name, "weight_norm"),
        symmetric=layer.symmetric,
        saturated=value("saturated"),
        dead=value("dead"),
        correlation=value("correlation"),
    )
