"""`with probe(model)`: a training loop measured while it runs, and judged when it has ended."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from gradpath.flow.probe import Probe
from gradpath.flow.record import FILE, set_verdict
from gradpath.flow.wrappers import is_distributed
from gradpath.verdict.from_record import Layer, diagnose


class JudgingProbe(Probe):
    """A probe that says what its record means."""

    def verdict(self) -> dict[str, Any]:
        """What the record says, as `of_record.diagnose` has it."""
        record = self.record
        return diagnose(self.model, record, [Layer(m.linear.out_features, *self.scales[m]) for m in self.columns])


@contextmanager
def probe(model: nn.Module, folder: str | Path | None = None, **options: Any) -> Iterator[JudgingProbe]:
    """`with probe(model) as p:` around any training loop; `p.record` holds what was measured.

    Args:
        folder: keeps the record in `flow.npz` there, readable with numpy and by TensorBoard's Gradient Flow tab.
        options: as `Probe` takes them: `every=10`, `inputs=batch`, `scaler=scaler`.

    Raises:
        ValueError: as `Probe`; the folder holds a record.
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
    if place is not None and measuring.record.steps:
        set_verdict(place, measuring.verdict())
