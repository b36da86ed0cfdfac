"""What a study finds: numbers in a table, pictures, and conclusions that can fail."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev

from matplotlib.figure import Figure


@dataclass(frozen=True)
class Conclusion:
    """statement: what should be so. measured: what was found. holds: whether it is so, computed from what was found.
    supports, contradicts: the chapter's own claim, where it holds: what does, in a few words with its number."""

    statement: str
    measured: str
    holds: bool
    supports: str = ""
    contradicts: str = ""


@dataclass(frozen=True)
class Table:
    """Cells as they are shown."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Study:
    """setting: how it was done, in a sentence. figures: file stem -> picture. films: file stem -> its pictures in order.
    captions: file stem of either -> what it shows."""

    setting: str
    table: Table
    conclusions: Sequence[Conclusion]
    figures: Mapping[str, Figure]
    captions: Mapping[str, str]
    films: Mapping[str, Sequence[Figure]] = field(default_factory=dict)

    @property
    def files(self) -> list[str]:
        """Names of its pictures and films."""
        return [*(f"{stem}.png" for stem in self.figures), *(f"{stem}.gif" for stem in self.films)]

    @property
    def holds(self) -> bool:
        return all(conclusion.holds for conclusion in self.conclusions)

    @property
    def verdict(self) -> str:
        """Whether the chapter is right, with the numbers that say so; "" where no conclusion bears on its claim."""
        bearing = [conclusion for conclusion in self.conclusions if conclusion.supports or conclusion.contradicts]
        supported = any(conclusion.supports for conclusion in bearing)
        contradicted = any(conclusion.contradicts for conclusion in bearing)
        if not bearing:
            return ""
        if not all(conclusion.holds for conclusion in bearing):
            return "open: a conclusion that bears on it fails"
        word = "right in part" if supported and contradicted else "right" if supported else "not borne out"
        return f"{word}: {'; '.join(conclusion.supports or conclusion.contradicts for conclusion in bearing)}"


def percent(shares: Sequence[float], digits: int = 1) -> str:
    """Mean and standard deviation over seeds; the mean alone of a single one."""
    deviation = f" +- {stdev(shares):.{digits}%}" if len(shares) > 1 else ""
    return f"{fmean(shares):.{digits}%}{deviation}"


def seeded(count: int) -> str:
    """How many seeds, in words."""
    return "1 seed" if count == 1 else f"{count} seeds"


@dataclass(frozen=True)
class Difference:
    """Of two arms with the same seeds: mean, and its standard error, which a single seed does not give."""

    mean: float
    error: float | None

    def __str__(self) -> str:
        # Of what is rounded: no -0.0.
        return (
            f"{round(100 * self.mean, 1) + 0.0:+.1f}"
            + ("" if self.error is None else f" +- {100 * self.error:.1f}")
            + " points"
        )

    @property
    def low(self) -> float:
        """Two standard errors below the mean; with a single seed two points."""
        return self.mean - (0.02 if self.error is None else 2 * self.error)

    @property
    def high(self) -> float:
        """Likewise above it."""
        return 2 * self.mean - self.low


def difference(first: Sequence[float], second: Sequence[float]) -> Difference:
    """first - second, seed by seed."""
    off = [a - b for a, b in zip(first, second, strict=True)]
    return Difference(fmean(off), stdev(off) / len(off) ** 0.5 if len(off) > 1 else None)
