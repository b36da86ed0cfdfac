"""The chapter from its first claim to its last, one command after another."""

import os
import subprocess
import sys
import time
from textwrap import wrap

from gradpath.config.checks import PROJECT
from gradpath.errors import RunFailed
from gradpath.files import write_text
from gradpath.studies.chapter.entries import CHAPTER, FAILED, Entry

WIDTH = 80
# The name of the station that was seen last.
LAST = PROJECT / "logs/tour.txt"


def commands() -> dict[str, str]:
    """Of every station, by name."""
    return {name: entry.typed or f"python scripts/study.py {name} --quick" for name, entry in CHAPTER.items()}


def following() -> int:
    """The station after the one that was seen last, from 1; one more than there are when that was the last."""
    names = list(CHAPTER)
    last = LAST.read_text().strip() if LAST.is_file() else ""
    return names.index(last) + 2 if last in names else 1


def station(number: int) -> None:
    """Says what comes, runs it in a process of its own, and notes that it was seen.

    Raises:
        RunFailed: the command failed. A study whose conclusion does not hold did not: it says so itself.
    """
    name = list(CHAPTER)[number - 1]
    typed = commands()[name]
    _note(list(CHAPTER)[number - 2] if number > 1 else "")
    print("\n".join(announced(number, CHAPTER[name], typed)), flush=True)
    began = time.perf_counter()
    code = run(typed)
    if code not in (0, FAILED):
        raise RunFailed(f"station {number} ended with exit code {code}: {typed}")
    _note(name)
    print(f"\n{time.perf_counter() - began:.0f} s. {next_step(number)}\n", flush=True)


def _note(last: str) -> None:
    """Writes down the station that was seen last: stopped in one, the tour goes on in it, wherever it had begun."""
    LAST.parent.mkdir(exist_ok=True)
    write_text(LAST, f"{last}\n")


def run(typed: str) -> int:
    """The exit code of `python ...`, whose output is the terminal's."""
    arguments = [sys.executable, *typed.split()[1:]]
    with subprocess.Popen(arguments, cwd=PROJECT, env=os.environ | {"COLUMNS": str(WIDTH)}) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            # Ctrl-C went to the command, too, which ends in its own way.
            process.wait()
            raise


def announced(number: int, entry: Entry, typed: str) -> list[str]:
    """The heading of a station, what the chapter says, and what will be typed."""
    head = f"-- {number} of {len(CHAPTER)}: {entry.title} ({', '.join(entry.claims)}) "
    return [head.ljust(WIDTH, "-"), *wrap(entry.says, WIDTH), f"$ {typed}", ""]


def next_step(number: int) -> str:
    """What comes after a station."""
    if number == len(CHAPTER):
        return "That was the last one. The pages in docs/studies tell it all at full size."
    entry = list(CHAPTER.values())[number]
    return f"Next: {entry.title} ({', '.join(entry.claims)})"


def listed() -> list[str]:
    """A line per station; >: where the tour goes on."""
    goes_on = following()
    return [
        f"{'>' if number == goes_on else ' '} {number:>2}  {entry.title} ({', '.join(entry.claims)})"
        for number, entry in enumerate(CHAPTER.values(), 1)
    ]
