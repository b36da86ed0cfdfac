"""A published claim: the paper's numbers, gradpath's numbers, and how far apart they may be."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal

from torch import Tensor


@dataclass(frozen=True)
class Check:
    """One number of a paper, and the same number computed by gradpath.

    setting: what the number is, and for which network.
    expected: the paper's number.
    measured: gradpath's number.
    tolerance: the largest difference allowed, as a share of |expected| if `relative`. Bounds have none.
    kind: "equal"; or "at least" or "at most" if `expected` is a bound on `measured`.
    """

    setting: str
    expected: float
    measured: float
    tolerance: float = 0.0
    relative: bool = False
    kind: Literal["equal", "at least", "at most"] = "equal"

    @property
    def error(self) -> float:
        """The distance from the expected number, in units of the tolerance. The check fails above 1, and for NaN.

        For a bound it is 0 if the bound holds, and inf if not.
        """
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
        """The tolerance or the kind of bound, in words: `2%`, `0.03`, `at least`."""
        if self.kind != "equal":
            return self.kind
        return f"{self.tolerance:.0%}" if self.relative and self.tolerance >= 0.01 else f"{self.tolerance:.2g}"


@dataclass(frozen=True)
class Claim:
    """A claim of a paper. It holds if all of its numbers do.

    number: from 1 to COUNT.
    paper: author and year.
    statement: what the paper says, in one sentence.
    checks: the numbers of the claim.
    """

    number: int
    paper: str
    statement: str
    checks: Sequence[Check]

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)

    @property
    def worst(self) -> Check:
        """The first number that fails; if all hold, the one nearest to failing."""
        failing = [check for check in self.checks if not check.passed]
        return failing[0] if failing else max(self.checks, key=lambda check: check.error)


def same(setting: str, expected: Tensor, measured: Tensor, tolerance: float) -> Check:
    """A check that the largest difference between two tensors is 0, within an absolute tolerance."""
    return Check(setting, 0.0, (measured.detach() - expected.detach()).abs().max().item(), tolerance)
