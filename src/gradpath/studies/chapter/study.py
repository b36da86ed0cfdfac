"""The result of a study: numbers in a table, pictures, and conclusions that can fail."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev

from matplotlib.figure import Figure

# How a page and the terminal call a study that is too small for one of its conclusions.
SHORT = "so short a run"
# The difference between two trainings that a single seed can show. Short ones differ by several points by chance.
TELLING = 0.1


@dataclass(frozen=True)
class Conclusion:
    """A statement that the measured numbers either bear out or not.

    statement: what should be so.
    measured: what was found.
    holds: whether the statement is so, computed from what was found.
    supports: if it holds, the finding that supports the chapter's claim, with its number; "" if none does.
    contradicts: if it holds, the finding that contradicts the chapter's claim, with its number; "" if none does.
    conclusive: whether runs of this size and number can tell. If not, the statement neither holds nor fails.
    """

    statement: str
    measured: str
    holds: bool
    supports: str = ""
    contradicts: str = ""
    conclusive: bool = True

    @property
    def fails(self) -> bool:
        return self.conclusive and not self.holds


@dataclass(frozen=True)
class Table:
    """A table of cells, formatted as they are shown."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Study:
    """The result of a study.

    setting: how it was done, in a sentence.
    table: the measured numbers.
    conclusions: the statements that were checked.
    figures: file stem -> picture.
    captions: file stem of a picture or film -> what it shows.
    films: file stem -> the frames in order.
    """

    setting: str
    table: Table
    conclusions: Sequence[Conclusion]
    figures: Mapping[str, Figure]
    captions: Mapping[str, str]
    films: Mapping[str, Sequence[Figure]] = field(default_factory=dict)

    @property
    def files(self) -> list[str]:
        """The file names of the pictures and films."""
        return [*(f"{stem}.png" for stem in self.figures), *(f"{stem}.gif" for stem in self.films)]

    @property
    def holds(self) -> bool:
        return not any(conclusion.fails for conclusion in self.conclusions)

    @property
    def conclusive(self) -> bool:
        return all(conclusion.conclusive for conclusion in self.conclusions)

    @property
    def verdict(self) -> str:
        """Whether the chapter is right, with the numbers that show it; "" if no conclusion bears on the chapter's claim."""
        bearing = [conclusion for conclusion in self.conclusions if conclusion.supports or conclusion.contradicts]
        if not bearing:
            return ""
        if any(conclusion.fails for conclusion in bearing):
            return "open: a conclusion that bears on it fails"
        shown = [conclusion for conclusion in bearing if conclusion.conclusive]
        said = "; ".join(conclusion.supports or conclusion.contradicts for conclusion in shown)
        if len(shown) < len(bearing):
            return f"open in {SHORT}" + (f", which shows: {said}" if shown else "")
        supported = any(conclusion.supports for conclusion in bearing)
        contradicted = any(conclusion.contradicts for conclusion in bearing)
        word = "right in part" if supported and contradicted else "right" if supported else "not borne out"
        return f"{word}: {said}"


def percent(shares: Sequence[float], digits: int = 1) -> str:
    """Formats mean and standard deviation over seeds, in per cent; with a single seed the mean alone."""
    deviation = f" +- {stdev(shares):.{digits}%}" if len(shares) > 1 else ""
    return f"{fmean(shares):.{digits}%}{deviation}"


def seeded(count: int) -> str:
    """Formats a number of seeds: "1 seed", "3 seeds"."""
    return "1 seed" if count == 1 else f"{count} seeds"


@dataclass(frozen=True)
class Difference:
    """The difference between two arms that were run with the same seeds, as a share: 0.01 is one percentage point.

    mean: the mean over seeds.
    error: its standard error; None with a single seed.
    """

    mean: float
    error: float | None

    def __str__(self) -> str:
        # Adding 0.0 after rounding turns -0.0 into 0.0.
        return (
            f"{round(100 * self.mean, 1) + 0.0:+.1f}"
            + ("" if self.error is None else f" +- {100 * self.error:.1f}")
            + " points"
        )

    @property
    def low(self) -> float:
        """Two standard errors below the mean; with a single seed, ten percentage points below."""
        return self.mean - (TELLING if self.error is None else 2 * self.error)

    @property
    def high(self) -> float:
        """Two standard errors above the mean; with a single seed, ten percentage points above."""
        return 2 * self.mean - self.low

    @property
    def conclusive(self) -> bool:
        """Whether it can be told which arm is better, or, with several seeds, that it cannot."""
        return self.error is not None or abs(self.mean) > TELLING


def difference(first: Sequence[float], second: Sequence[float]) -> Difference:
    """The difference first - second, taken seed by seed. Both: one share per seed, in the same order."""
    off = [a - b for a, b in zip(first, second, strict=True)]
    return Difference(fmean(off), stdev(off) / len(off) ** 0.5 if len(off) > 1 else None)
