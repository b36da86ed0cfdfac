"""What is wrong with a network, and why."""

from dataclasses import asdict, dataclass
from typing import Any

from gradpath.verdict.remedies import Remedy, Words

# A sick network gets at most this many findings.
MOST = 3


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    kind: one of `finding_names.KINDS`.
    cause: initial scale, activation, dead units, BatchNorm (or LayerNorm), depth, learning rate, symmetry, data, targets or
        loss, loss, zero_grad, graph, optimizer, clipping, recurrence; or unknown.
    layer: where it shows, or None.
    """

    kind: str
    cause: str
    layer: str | None
    message: str
    remedy: Remedy

    def as_dict(self, words: Words) -> dict[str, Any]:
        """As `result.json` and `Probe.verdict` have it, the remedy in one of its two wordings."""
        return asdict(self) | {"remedy": getattr(self.remedy, words) or None}
