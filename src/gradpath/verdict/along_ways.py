"""Reading the gradient along its ways: the worst of them is the network's."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import inf, isfinite, isnan, log, nan
from typing import NamedTuple

from gradpath.flow.profile import LayerFlow
from gradpath.flow.way_norms import Step
from gradpath.verdict.anatomy import Anatomy
from gradpath.verdict.at_start import findings_at_start
from gradpath.verdict.findings import MOST, Finding
from gradpath.verdict.gradient_class import NO_PLACES, TOO_FEW, Reading, read, undecided
from gradpath.verdict.remedies import NONE_KNOWN, Remedy
from gradpath.verdict.starts_at_zero import NONE_STARTS, ZeroStarts, why_not_yet
from gradpath.verdict.verdict import Verdict

# A layer that is called so often is used over and over again, as in a recurrent network.
FEW_CALLS = 3
# With fewer samples than this BatchNorm's own gradient is larger than with many.
FEW_SAMPLES = 8
GATES = Remedy("", "an orthogonal weight (nn.init.orthogonal_), gates that keep the state, or fewer calls")


class Scales(NamedTuple):
    """units: features or channels. sigma_w2, sigma_b2: fan_in * Var(W), Var(b), of a layer that is one product."""

    units: int
    sigma_w2: float
    sigma_b2: float


@dataclass(frozen=True)
class WayRead:
    """The way of the gradient to one first layer.

    stations: first layer first, without the output layer's. deltas: |gradient| at each, up to a factor that all share.
    beside: the layers on branches between its stations. zero: those on it that started at zero, whose size is left out.
    """

    stations: list[str]
    deltas: list[float]
    beside: list[str]
    reading: Reading
    zero: list[str] = field(default_factory=list)

    @property
    def steepest(self) -> tuple[str, str] | None:
        """The two neighbouring stations between which the gradient changes by the largest factor; None if there are none."""
        factors = [abs(log(a / b)) if 0 < a < inf and 0 < b < inf else inf for a, b in pairwise(self.deltas)]
        if not factors:
            return None
        place = factors.index(max(factors))
        return self.stations[place], self.stations[place + 1]


def worst_way(step: Step, started: ZeroStarts = NONE_STARTS) -> WayRead | None:
    """The way along which the gradient changes most; None if no way has two stations below the output layer.

    Where none is sick it is one that waits for a layer of zeros to move, if there is one.
    """
    found = []
    for way, norms in step.norms():
        # What lies behind two heads is no output layer.
        below = slice(None) if step.chosen or (way and way[-1] in step.inner) else slice(-1)
        found.append(_read(way[below], norms[below], step.beside, started))
    return max((way for way in found if way.reading.undecided != TOO_FEW), key=_severity, default=None)


def verdict_along(
    step: Step,
    scales: Mapping[str, Scales],
    layers: Verdict,
    network: Anatomy,
    started: ZeroStarts = NONE_STARTS,
    samples: int | None = None,
) -> tuple[Verdict, WayRead | None]:
    """The verdict on a network in which the layers are not one way, and the way that it was read along.

    On a way without branches, of layers that are products with weights, the cause is found as in a plain network. On any
    other the place is named and no cause is guessed.

    Args:
        layers: the verdict on the layers themselves: what it says of single ones holds for any network. samples: in the
            step's batch, if that is known.
    """
    worst = worst_way(step, started)
    alone = single(layers)
    if worst is None:
        few = layers.start.undecided == TOO_FEW
        return replace(layers, start=undecided(TOO_FEW if few else NO_PLACES), findings=alone), None
    reading = worst.reading
    if reading.kind in ("healthy", None):
        return replace(layers, start=reading, findings=alone), worst
    if not worst.beside and all(name in scales for name in worst.stations):
        found = findings_at_start(reading.kind, reading.rate_per_layer, _profile(worst, scales), network)
    else:
        found = [_of_few(worst, samples) if _blames_few(worst, network, samples) else _unexplained(worst)]
    return replace(layers, start=reading, findings=[*found, *alone][:MOST]), worst


def single(layers: Verdict) -> list[Finding]:
    """What a verdict says of single layers, whatever the class."""
    return [finding for finding in layers.findings if finding.kind in ("symmetry", "dead_units")]


def is_plain(step: Step, layers: Collection[str]) -> bool:
    """Whether there is one way, on which every layer is a station, and no others are."""
    return [*step.ways] == [(*layers,)] and not any(step.beside.get(name) for name in layers)


def _read(way: list[str], deltas: list[float], beside: Mapping[str, tuple[str, ...]], started: ZeroStarts) -> WayRead:
    deltas, zero = started.corrected(way, deltas, beside)
    reading = undecided(why_not_yet(zero)) if zero and any(map(isnan, deltas)) else read(deltas)
    return WayRead(way, deltas, [layer for name in way for layer in beside.get(name, ())], reading, zero)


def _profile(way: WayRead, scales: Mapping[str, Scales]) -> list[LayerFlow]:
    """A row for each station, and one for the output layer, which findings leave out."""
    rows = [
        LayerFlow(name, *scales[name], q=nan, delta=delta, weight_grad_norm=nan, weight_norm=nan)
        for name, delta in zip(way.stations, way.deltas, strict=True)
    ]
    return [*rows, rows[-1]]


def _blames_few(way: WayRead, network: Anatomy, samples: int | None) -> bool:
    return way.reading.kind == "exploding" and network.norm == "BatchNorm" and 0 < (samples or 0) < FEW_SAMPLES


def _of_few(way: WayRead, samples: int | None) -> Finding:
    """BatchNorm divides by a spread over few values, which is small by chance."""
    message = f"the gradient grows {_size(way.reading)} on its way to the first layer: BatchNorm over {samples} samples"
    remedy = Remedy("", f"a batch of {2 * FEW_SAMPLES} samples or more, or GroupNorm")
    return Finding("exploding", "BatchNorm", way.stations[0], message, remedy)


def _size(reading: Reading) -> str:
    ratio = reading.ratio
    return f"{max(ratio, 1 / ratio):.3g}x" if ratio and isfinite(ratio) else "out of all measure"


def _unexplained(way: WayRead) -> Finding:
    verb = "shrinks" if way.reading.kind == "vanishing" else "grows"
    size = _size(way.reading)
    assert way.reading.kind
    layer, calls = _repeated(way)
    if calls:
        message = f"the gradient {verb} {size} on its way to the first layer, over {calls} calls of {layer}"
        return Finding(way.reading.kind, "recurrence", layer, message, GATES)
    at = way.steepest
    most = f", most of it between {at[1]} and {at[0]}" if at else ""
    message = f"the gradient {verb} {size} on its way to the first layer{most}; why was not found"
    return Finding(way.reading.kind, "unknown", way.stations[0], message, NONE_KNOWN)


def _repeated(way: WayRead) -> tuple[str, int]:
    """The layer between whose calls most of the change lies, and how many there are; 0 if there is none."""
    calls: dict[str, list[float]] = {}
    for name, delta in zip(way.stations, way.deltas, strict=True):
        calls.setdefault(name.removesuffix(" +").partition("#")[0], []).append(delta)
    layer, deltas = max(calls.items(), key=lambda pair: len(pair[1]))
    ends = (*way.deltas[:: len(way.deltas) - 1], deltas[0], deltas[-1])
    if len(deltas) < FEW_CALLS or not all(0 < end < inf for end in ends):
        return layer, 0
    return layer, len(deltas) if abs(log(ends[2] / ends[3])) > abs(log(ends[0] / ends[1])) / 2 else 0


def _severity(way: WayRead) -> tuple[int, float]:
    ratio = way.reading.ratio
    size = abs(log(ratio)) if ratio is not None and ratio > 0 and isfinite(ratio) else inf
    # Where nothing arrives, because the loss is 0 or a tower has no part in it, others tell more.
    waits = 2 if way.zero else 0
    return {"healthy": 1, None: waits}.get(way.reading.kind, 3), size
