"""The verdict: a reading of the gradient, and what is wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gradpath.verdict.anatomy import Anatomy
from gradpath.verdict.at_start import Layer, findings_at_start
from gradpath.verdict.deviation import Deviation
from gradpath.verdict.findings import Finding
from gradpath.verdict.gradient_class import Reading, read
from gradpath.verdict.remedies import Words


@dataclass(frozen=True)
class Verdict:
    """The judgement on a network or on its training.

    start: the reading at the first step. findings: three at most, the cause first; none for a healthy network.
    deviation: measurement compared with theory, None if they cannot be compared. end: the reading at the last step, or None.
    """

    start: Reading
    findings: Sequence[Finding]
    deviation: Deviation | None = None
    end: Reading | None = None

    def as_dict(self, words: Words = "overrides") -> dict[str, Any]:
        """The form in `result.json`: `class`, `ratio`, `rate_per_layer` and `interval` of the start, `findings`, `deviation`
        and `end`."""
        return {
            **self.start.as_dict(),
            "findings": [finding.as_dict(words) for finding in self.findings],
            "deviation": self.deviation and self.deviation.as_dict(),
            "end": self.end and self.end.as_dict(),
        }


def verdict(profile: Sequence[Layer], anatomy: Anatomy, deviation: Deviation | None = None) -> Verdict:
    """The verdict on a profile measured at the start.

    Args:
        profile: a row per layer, first hidden layer first, the output layer last.
    """
    reading = read([row.delta for row in profile[:-1]])
    return Verdict(reading, findings_at_start(reading.kind, reading.rate_per_layer, profile, anatomy), deviation)
