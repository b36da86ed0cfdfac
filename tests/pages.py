"""The commands in the code blocks of README.md and docs/, and whether what they print is what stands there."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gradpath.config.checks import PROJECT

PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").rglob("*.md"))]


@dataclass(frozen=True)
class Typed:
    """A command in a page's code block, the comment beside it, and the lines of output that the page shows."""

    page: str
    command: str
    promise: str
    shown: tuple[str, ...]


@dataclass(frozen=True)
class Ran:
    """A command that has ended: what it printed, the folders of the runs that it made, and their results at that time."""

    out: str
    runs: list[Path]
    results: list[dict[str, Any]]

    @classmethod
    def now(cls, out: str, runs: list[Path]) -> "Ran":
        return cls(out, runs, [json.loads((run / "result.json").read_text()) for run in runs])

    def metric(self, name: str) -> float:
        return float(self.results[-1]["metrics"][name])


def commands() -> list[Typed]:
    """Every line of a bash block, and every line that begins with $ in any other block."""
    found = []
    for page in PAGES:
        for language, block in re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
            mark = "" if language in ("bash", "sh", "shell") else "$ "
            lines = block.splitlines()
            starts = [k for k, line in enumerate(lines) if line.strip() and line.startswith(mark)]
            for start, end in zip(starts, [*starts, len(lines)][1:], strict=True):
                command, _, promise = lines[start].removeprefix(mark).partition(" #")
                place = str(page.relative_to(PROJECT))
                found.append(Typed(place, command.strip(), promise.strip(), tuple(lines[start + 1 : end])))
    return found


def resembles_the_pages(output: str, command: str) -> None:
    """Compares what a command printed with what each page shows below it."""
    for typed in commands():
        if typed.command == command:
            resemble(output, typed.shown)


def resemble(output: str, shown: tuple[str, ...]) -> None:
    """The lines that a page shows stand in the output in their order. `...` stands for anything; numbers are about equal."""
    lines = iter(output.splitlines())
    for line in shown:
        if line.strip() not in ("", "..."):
            assert any(alike(printed, line) for printed in lines), (line, output)


def alike(printed: str, shown: str) -> bool:
    pairs = [re.split(r"([\d.]+(?:e-?\d+)?)", " ".join(text.split())) for text in (printed, shown)]
    if shown.endswith("..."):
        pairs = [[" ".join(printed.split())[: len(shown) - 3]], [shown[:-3]]]
    if pairs[0][::2] != pairs[1][::2]:
        return False
    numbers = [
        (float(one.strip(".") or 0), float(two.strip(".") or 0)) for one, two in zip(*(p[1::2] for p in pairs), strict=True)
    ]
    return all(one == pytest.approx(two, rel=0.03) for one, two in numbers)


def numbers(output: str) -> dict[str, float]:
    """The lines `name: number` of a command's output."""
    return {name: float(value) for name, value in re.findall(r"^\s*(test/\w+): ([\d.e-]+)$", output, re.MULTILINE)}
