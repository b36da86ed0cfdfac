"""Training programs with faults that others have described, each with a healthy twin: what the verdict says of them.

The faults are those of public collections: threads as gathered by Humbatova et al. 2020 ("Taxonomy of real faults in deep
learning systems"), Wardat et al. 2021 (DeepLocalize) and Cao et al. 2022 (DeepFD), and what PyTorch's forum answers over and
over. The programs are written anew. Some faults leave no trace in the gradient (labels that are wrong, data in their order,
parts that are frozen): they are counted too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gradpath.studies.faulty_loops import data, rates, traceless, wiring
from gradpath.studies.faulty_networks import deep_networks, networks
from gradpath.studies.program import Program


@dataclass(frozen=True)
class Outcome:
    """What the verdict said of a program: of its faulty form, and of its healthy twin."""

    program: Program
    faulty: dict[str, Any]
    healthy: dict[str, Any]

    @property
    def found(self) -> bool:
        """Whether the first finding is an accepted one. A loop in which nothing could be measured says so."""
        return bool(self.said & self.program.kinds)

    @property
    def named(self) -> bool:
        """Whether one of the findings names an accepted cause."""
        return self.found and bool(self.because & self.program.causes)

    @property
    def accused(self) -> bool:
        """Whether the healthy twin has a finding."""
        return bool(self.healthy["findings"] or self.healthy["unmeasured"])

    @property
    def said(self) -> set[str]:
        return {finding["kind"] for finding in self.faulty["findings"]} | (
            {"unmeasured"} if self.faulty["unmeasured"] else set()
        )

    @property
    def because(self) -> set[str]:
        return {finding["cause"] for finding in self.faulty["findings"]} | (
            {"no step"} if self.faulty["unmeasured"] else set()
        )


def outcome(program: Program) -> Outcome:
    """Runs a program in both forms."""
    return Outcome(program, program.train(True), program.train(False))


def table(outcomes: list[Outcome]) -> Iterator[str]:
    """Yields the outcomes in Markdown."""
    yield "| fault | found | named | said | healthy twin |\n|---|---|---|---|---|"
    for one in outcomes:
        said = (
            ", ".join(f"{f['kind']} ({f['cause']})" for f in one.faulty["findings"]) or one.faulty["unmeasured"] or "nothing"
        )
        marks = " | ".join("yes" if fact else "no" for fact in (one.found, one.named))
        twin = ", ".join(finding["kind"] for finding in one.healthy["findings"]) or "nothing"
        yield f"| {one.program.name} | {marks} | {said} | {twin} |"
    count = len(outcomes)
    for word, number in (("found", sum(one.found for one in outcomes)), ("named right", sum(one.named for one in outcomes)),
                         ("healthy twins accused", sum(one.accused for one in outcomes))):  # fmt: skip
        yield f"\n{word}: {number} of {count} ({number / count:.0%})"


def programs() -> list[Program]:
    """All programs, each with the findings and the causes that are accepted."""
    return [
        Program(name, train, frozenset(kinds.split()), frozenset(causes.split(", ")))
        for name, train, kinds, causes in (*networks(), *deep_networks(), *rates(), *data(), *wiring(), *traceless())
    ]
