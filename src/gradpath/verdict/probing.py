"""`with probe(model)`: measures a training loop while it runs, and judges it when it has ended."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from gradpath.flow.backward import say
from gradpath.flow.probe import Probe
from gradpath.flow.record import FILE, set_verdict
from gradpath.flow.way_norms import WayNorms
from gradpath.flow.wrappers import has_compiled_parts, is_distributed
from gradpath.verdict.from_record import Layer, diagnose, why_nothing


class JudgingProbe(Probe):
    """A probe that says what its record means.

    Where layers lie beside each other (residual blocks, attention, two towers), and where they are no Linear ones, it also
    follows the gradient along its ways.
    """

    def __init__(self, model: nn.Module, *arguments: Any, **options: Any) -> None:
        super().__init__(model, *arguments, **options)
        # None if they are not followed. Torch warns of hooks on all modules where it has compiled one.
        self.ways = None if has_compiled_parts(model) else _ways_of(self.model)
        self.watch.on_backward = self._on_backward

    def verdict(self) -> dict[str, Any]:
        """The verdict on the record, in the form of `from_record.diagnose`."""
        return diagnose(self.model, self.record, self._layers(), self.ways)

    def close(self) -> None:
        super().close()
        if self.ways:
            self.ways.detach()

    def unmeasured(self) -> str | None:
        """Why no step was measured; None if one was."""
        return why_nothing(self.model, self.record, self.ways)

    def _layers(self) -> list[Layer]:
        return [Layer(meter.linear.out_features, *self.scales[meter]) for meter in self.columns]

    def _ready(self) -> None:
        super()._ready()
        if not self.ways:
            return
        if self.measuring and self.slow:
            self.ways.attach()
        else:
            self.ways.detach()

    def _on_backward(self) -> None:
        if self.ways and self.watch.passes == 1:
            # What earlier passes left belongs to no step.
            self.ways.forget()
        self.gradients.on_backward()

    def _finish(self) -> None:
        super()._finish()
        if self.ways:
            self.ways.finish()


def _ways_of(model: nn.Module) -> WayNorms | None:
    """What follows the ways of a model. A layer that cannot be understood must not end the training."""
    try:
        return WayNorms(model)
    except Exception as error:
        say(f"gradpath: the ways of the gradient are not followed: {type(error).__name__}: {error}")
        return None


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
