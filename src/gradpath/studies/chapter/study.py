"""The result of a study: numbers in a table, pictures, and conclusions that can fail."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from statistics import fmean, stdev

from matplotlib.figure import Figure

from gradpath.verdict.gradient_class import student_t

# The difference between two trainings that a single seed can show. Short ones differ by several points by chance.
TELLING = 0.1


@dataclass(frozen=True)
class Conclusion:
    """A statement that the measured numbers bear out, or do not, or leave open.

    statement: what should be so.
    measured: what was found.
    holds: whether the statement is so, computed from what was found; None if an interval reaches to both sides, so that the
        numbers do not show it.
    supports: if it holds, the finding that supports the chapter's claim, with its number; "" if none does.
    contradicts: if it holds, the finding that contradicts the chapter's claim, with its number; "" if none does.
    unshown: if it is not shown, what was found that bears on the chapter's claim, with its interval; "" if nothing was.
    """

    statement: str
    measured: str
    holds: bool | None
    supports: str = ""
    contradicts: str = ""
    unshown: str = ""

    @property
    def fails(self) -> bool:
        return self.holds is not None and not self.holds

    @property
    def word(self) -> str:
        return "not shown" if self.holds is None else "holds" if self.holds else "fails"

    @property
    def finding(self) -> str:
        """What bears on the chapter's claim; "" if nothing does."""
        if self.holds is None:
            return self.unshown and f"not shown: {self.unshown}"
        return self.supports or self.contradicts


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
        """Whether no conclusion fails."""
        return not any(conclusion.fails for conclusion in self.conclusions)

    @property
    def conclusive(self) -> bool:
        """Whether no conclusion is left open."""
        return all(conclusion.holds is not None for conclusion in self.conclusions)

    @property
    def verdict(self) -> str:
        """Whether the chapter is right, with the numbers that show it; "" if no conclusion bears on the chapter's claim."""
        bearing = [conclusion for conclusion in self.conclusions if conclusion.finding]
        supported = any(conclusion.holds and conclusion.supports for conclusion in bearing)
        contradicted = any(conclusion.holds and conclusion.contradicts for conclusion in bearing)
        if not bearing:
            return ""
        if any(conclusion.fails for conclusion in bearing):
            return "open: a conclusion that bears on it fails"
        findings = "; ".join(conclusion.finding for conclusion in bearing)
        if not supported and not contradicted:
            return findings
        word = "right in part" if supported and contradicted else "right" if supported else "not borne out"
        return f"{word}: {findings}"


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
    margin: half the width of its 95 % interval by Student's t; None with a single seed.
    seeds: the number of seeds.
    """

    mean: float
    margin: float | None
    seeds: int

    def __str__(self) -> str:
        # Adding 0.0 after rounding turns -0.0 into 0.0.
        return (
            f"{round(100 * self.mean, 1) + 0.0:+.1f}"
            + ("" if self.margin is None else f" +- {100 * self.margin:.1f}")
            + f" points (n = {self.seeds})"
        )

    @property
    def low(self) -> float:
        """The interval's lower end; with a single seed, ten percentage points below the mean."""
        return self.mean - (TELLING if self.margin is None else self.margin)

    @property
    def high(self) -> float:
        """The interval's upper end; with a single seed, ten percentage points above the mean."""
        return 2 * self.mean - self.low

    def above(self, share: float = 0.0) -> bool | None:
        """Whether the difference is larger than `share`; None if the interval reaches to both sides of it."""
        return True if self.low > share else False if self.high < share else None

    def within(self, share: float) -> bool | None:
        """Whether the difference is smaller than `share` either way; None if the interval leaves it open."""
        outside = self.low > share or self.high < -share
        return True if -share < self.low and self.high < share else False if outside else None

    def beyond(self, other: "Difference") -> bool | None:
        """Whether this difference is larger than the other; None if their intervals overlap."""
        return True if self.low > other.high else False if self.high < other.low else None


def jointly(answers: Iterable[bool | None]) -> bool | None:
    """Whether all of it is so: no if one answer is no, else open if one is open."""
    given = list(answers)
    return False if False in given else None if None in given else True


def difference(first: Sequence[float], second: Sequence[float]) -> Difference:
    """The difference first - second, taken seed by seed. Both: one share per seed, in the same order."""
    off = [a - b for a, b in zip(first, second, strict=True)]
    count = len(off)
    return Difference(fmean(off), student_t(count - 1) * stdev(off) / sqrt(count) if count > 1 else None, count)
