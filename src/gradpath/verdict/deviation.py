"""Does what is measured stray from theory further than chance would take it?"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, isfinite

import numpy as np

from gradpath.theory.prediction import Prediction
from gradpath.verdict.gradient_class import step_weights

# A band this wide, as a logarithm, says nothing: theory to first order in 1 / n has broken down.
LARGEST = 2.0


@dataclass(frozen=True)
class Deviation:
    """Factor of |delta| per layer towards the input, measured and predicted.

    measured: geometric mean over the draws; lowest, highest: of them. theory: where at least 95 of 100 networks are.
    outside: the mean is not there.
    """

    measured: float
    lowest: float
    highest: float
    draws: int
    theory: tuple[float, float]

    @property
    def outside(self) -> bool:
        return not self.theory[0] <= self.measured <= self.theory[1]

    def __str__(self) -> str:
        spread = f" ({_shown(self.lowest)} to {_shown(self.highest)} over {self.draws} seeds)" if self.draws > 1 else ""
        low, high = map(_shown, self.theory)
        where = "outside" if self.outside else "inside"
        return f"measured {_shown(self.measured)} per layer{spread}, theory {low} to {high}: {where}"

    def as_dict(self) -> dict[str, object]:
        """As `result.json` has it."""
        return {
            "measured": self.measured,
            "seeds": [self.lowest, self.highest],
            "draws": self.draws,
            "theory": list(self.theory),
            "outside": self.outside,
            "sentence": str(self),
        }


def deviation(draws: Sequence[Sequence[float]], predicted: Prediction) -> Deviation | None:
    """Of |delta| per hidden layer, first one first, of networks drawn alike; None where there is no rate to compare.

    The rate is that of a straight line through log |delta|, as in the verdict.
    """
    measured, expected = np.array(draws, dtype=np.float64), np.array([row.delta for row in predicted.layers])
    if predicted.steps is None or measured.shape[1] < 2:
        return None
    if not all(((deltas > 0) & np.isfinite(deltas)).all() for deltas in (measured, expected)):
        return None
    weights = step_weights(len(expected))
    rates = [float(weights @ -np.diff(np.log(row))) for row in measured]
    center = float(weights @ -np.diff(np.log(expected)))
    # Steps and shifts are those of |delta|^2.
    margin = (1.96 * float(weights @ predicted.steps @ weights) ** 0.5 + float(np.abs(weights) @ predicted.shifts)) / 2
    if not all(map(isfinite, (*rates, center, margin))) or margin > LARGEST:
        return None
    return Deviation(
        exp(float(np.mean(rates))),
        exp(min(rates)),
        exp(max(rates)),
        len(rates),
        (exp(center - margin), exp(center + margin)),
    )


def _shown(rate: float) -> str:
    return f"{rate:.3g}" if rate < 0.9 or rate >= 1.1 else f"{rate:.3f}"
