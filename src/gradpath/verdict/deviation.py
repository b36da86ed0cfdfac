"""Does a measurement differ from theory by more than chance explains?"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, isfinite

import numpy as np

from gradpath.theory.prediction import Prediction
from gradpath.verdict.gradient_class import step_weights

# A band whose half-width in the log of the rate exceeds this says nothing: theory to first order in 1 / n has broken down.
LARGEST = 2.0


@dataclass(frozen=True)
class Deviation:
    """The factor of |delta| per layer towards the input, measured and predicted.

    measured: geometric mean over the draws. lowest, highest: the extremes of the draws. draws: how many there are.
    theory: the range that holds at least 95 of 100 networks. outside: whether the mean lies outside that range.
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
        """The form in `result.json`."""
        return {
            "measured": self.measured,
            "seeds": [self.lowest, self.highest],
            "draws": self.draws,
            "theory": list(self.theory),
            "outside": self.outside,
            "sentence": str(self),
        }


def deviation(draws: Sequence[Sequence[float]], predicted: Prediction) -> Deviation | None:
    """Compares networks drawn alike with theory; None if there is no rate to compare.

    The rate is that of a straight line through log |delta|, as in the verdict.

    Args:
        draws: |delta| per hidden layer, first layer first, for each network.
        predicted: theory's prediction for these networks.
    """
    measured, expected = np.array(draws, dtype=np.float64), np.array([row.delta for row in predicted.layers])
    if predicted.steps is None or measured.shape[1] < 2:
        return None
    if not all(((deltas > 0) & np.isfinite(deltas)).all() for deltas in (measured, expected)):
        return None
    weights = step_weights(len(expected))
    rates = [float(weights @ -np.diff(np.log(row))) for row in measured]
    center = float(weights @ -np.diff(np.log(expected)))
    # Steps and shifts are those of |delta|^2, hence the division by 2.
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
