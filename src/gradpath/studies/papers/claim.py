"""A published claim: the numbers that a paper gives, those that gradpath gives, and how far apart they may lie."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal

from torch import Tensor


@dataclass(frozen=True)
class Check:
    """One number.

    tolerance: of |expected| where `relative`, else of the difference itself; a bound ("at least", "at most") has none.
    """

    setting: str
    expected: float
    measured: float
    tolerance: float = 0.0
    relative: bool = False
    kind: Literal["equal", "at least", "at most"] = "equal"

    @property
    def error(self) -> float:
        """The distance from the expected number, in units of what is allowed. Above 1, and for NaN, the check fails."""
        if self.kind != "equal":
            holds = self.measured >= self.expected if self.kind == "at least" else self.measured <= self.expected
            return 0.0 if holds else inf
        off = abs(self.measured - self.expected)
        return off / (self.tolerance * (abs(self.expected) if self.relative else 1.0))

    @property
    def passed(self) -> bool:
        return self.error <= 1

    @property
    def within(self) -> str:
        """What is allowed, in words: `2%`, `0.03`, `at least`."""
        if self.kind != "equal":
            return self.kind
        return f"{self.tolerance:.0%}" if self.relative and self.tolerance >= 0.01 else f"{self.tolerance:.2g}"


@dataclass(frozen=True)
class Claim:
    """paper: author and year. statement: what it says, in one sentence. It holds when all of its numbers do."""

    number: int
    paper: str
    statement: str
    checks: Sequence[Check]

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)

    @property
    def worst(self) -> Check:
        """The first number that fails, else the one nearest to failing."""
        failing = [check for check in self.checks if not check.passed]
        return failing[0] if failing else max(self.checks, key=lambda check: check.error)


def same(setting: str, expected: Tensor, measured: Tensor, tolerance: float) -> Check:
    """Checks that the largest difference between two tensors is 0."""
    return Check(setting, 0.0, (measured.detach() - expected.detach()).abs().max().item(), tolerance)
