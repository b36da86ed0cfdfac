"""`with probe(model)`: measures a training loop while it runs, and judges it when it has ended."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from gradpath.errors import nearest
from gradpath.finding_names import KINDS
from gradpath.flow.backward import say
from gradpath.flow.probe import Probe
from gradpath.flow.record import FILE, set_verdict
from gradpath.flow.wrappers import is_distributed
from gradpath.verdict.from_record import Layer, diagnose, why_nothing
from gradpath.verdict.gradient_class import TOO_FEW
from gradpath.verdict.starts_at_zero import usual_norm

# Findings that say what the class is.
CLASSES = {"vanishing", "exploding"}


class UnhealthyError(AssertionError):
    """A training shows what `JudgingProbe.check` was asked to refuse, or it cannot be said whether it does."""


class JudgingProbe(Probe):
    """A probe that says what its record means. It follows the gradient along its ways.

    Args:
        ignore: kinds of findings that are not to be made, such as "saturation".
        options: those of `Probe`.

    Raises:
        ValueError: as for `Probe`, or there is no such finding.
    """

    def __init__(self, model: nn.Module, *arguments: Any, ignore: Collection[str] = (), **options: Any) -> None:
        _check_kinds("ignore", ignore)
        super().__init__(model, *arguments, **{"follow": True, **options})
        self.ignore = set(ignore)

    def verdict(self) -> dict[str, Any]:
        """The verdict on the record, in the form of `from_record.diagnose`."""
        layers = {}
        for meter in self.watch.meters:
            layer = meter.layer
            entries = sum(parameter.numel() for several in layer.weights.values() for parameter in several)
            lost = layer in self.watch.measuring.placed and self.ways is not None and layer.name not in self.ways.layers
            scales, usual = self.rows.scales[meter.name], usual_norm([p for of in layer.weights.values() for p in of])
            layers[meter.name] = Layer(layer.sizes.units, *scales, entries, layer.trains, lost, usual)
        found = diagnose(self.model, self.record, layers, self.ways, self.loop)
        if self.broken and found["unmeasured"]:
            found["unmeasured"] = found["undecided"] = f"no step was measured: {self.broken}"
        return found | {"findings": [finding for finding in found["findings"] if finding["kind"] not in self.ignore]}

    def loss(self, value: float | Tensor) -> None:
        """Tells the loss of the coming step, where it is not the number that `backward()` begins from."""
        self.loop.told = value.detach() if isinstance(value, Tensor) else value

    def check(self, *kinds: str) -> None:
        """Raises if the training so far shows one of these findings, or any, if none is named.

        Raises:
            UnhealthyError: it does; or nothing was measured; or vanishing or exploding is among them and there is no class,
                unless the network has too few layers for either.
            ValueError: there is no such finding.
        """
        _check_kinds("check", kinds)
        found = self.verdict()
        shown = [finding for finding in found["findings"] if not kinds or finding["kind"] in kinds]
        if shown:
            remedy = f"; try {shown[0]['remedy']}" if shown[0]["remedy"] else ""
            raise UnhealthyError(f"{shown[0]['kind']}: {shown[0]['message']}{remedy}")
        if found["unmeasured"]:
            raise UnhealthyError(found["unmeasured"])
        asked = {*(kinds or KINDS)} - self.ignore
        # Where there are not two places, there is nothing that could vanish.
        if found["undecided"] not in (None, TOO_FEW) and not asked.isdisjoint(CLASSES):
            raise UnhealthyError(found["undecided"])

    def unmeasured(self) -> str | None:
        """Why no step was measured; None if one was."""
        return why_nothing(self.model, self.record, self.ways)


def _check_kinds(what: str, kinds: Collection[str]) -> None:
    for kind in kinds:
        if kind not in KINDS:
            raise ValueError(f"probe: {what}: {kind} is no finding.{nearest(kind, KINDS)} There are {', '.join(KINDS)}.")


@contextmanager
def probe(model: nn.Module, folder: str | Path | None = None, **options: Any) -> Iterator[JudgingProbe]:
    """Measures any training loop inside `with probe(model) as p:`; `p.record` holds what was measured.

    Args:
        folder: the record is kept there in `flow.npz`, which numpy and TensorBoard's Gradient Flow tab can read.
        options: the arguments of `JudgingProbe`, such as `every=10`, `inputs=batch`, `scaler=scaler`.

    Raises:
        ValueError: as for `JudgingProbe`, or the folder holds a record already.
        OSError: the folder cannot be made.
    """
    place = None if folder is None else Path(folder)
    if place is not None and (place / FILE).exists():
        raise ValueError(f"probe: folder={folder}: holds a record already; choose another")
    if place is not None:
        place.mkdir(parents=True, exist_ok=True)
    measuring = JudgingProbe(model, **{"distributed": is_distributed(model), **options})
    measuring.open()
    try:
        yield measuring
    finally:
        measuring.close()
        if place is not None:
            measuring.save(place)
    why = measuring.unmeasured()
    if why and not measuring.broken:
        say(f"gradpath: {why}")
    if place is not None:
        set_verdict(place, measuring.verdict())
