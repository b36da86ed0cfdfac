"""`with probe(model)`: measures a training loop while it runs, and judges it when it has ended."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from gradpath.flow.backward import say
from gradpath.flow.probe import Probe
from gradpath.flow.record import FILE, set_verdict
from gradpath.flow.wrappers import is_distributed
from gradpath.verdict.from_record import Layer, diagnose, why_nothing


class JudgingProbe(Probe):
    """A probe that says what its record means. It follows the gradient along its ways."""

    def __init__(self, model: nn.Module, *arguments: Any, **options: Any) -> None:
        super().__init__(model, *arguments, **{"follow": True, **options})

    def verdict(self) -> dict[str, Any]:
        """The verdict on the record, in the form of `from_record.diagnose`."""
        layers = {}
        for meter in self.watch.meters:
            entries = sum(parameter.numel() for several in meter.layer.weights.values() for parameter in several)
            layers[meter.name] = Layer(meter.layer.sizes.units, *self.rows.scales[meter.name], entries)
        return diagnose(self.model, self.record, layers, self.ways, self.loop)

    def unmeasured(self) -> str | None:
        """Why no step was measured; None if one was."""
        return why_nothing(self.model, self.record, self.ways)


@contextmanager
def probe(model: nn.Module, folder: str | Path | None = None, **options: Any) -> Iterator[JudgingProbe]:
    """Measures any training loop inside `with probe(model) as p:`; `p.record` holds what was measured.

    Args:
        folder: the record is kept there in `flow.npz`, which numpy and TensorBoard's Gradient Flow tab can read.
        options: the arguments of `Probe`, such as `every=10`, `inputs=batch`, `scaler=scaler`.

    Raises:
        ValueError: as for `Probe`, or the folder holds a record already.
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
    if why:
        say(f"gradpath: {why}")
    if place is not None:
        set_verdict(place, measuring.verdict())
