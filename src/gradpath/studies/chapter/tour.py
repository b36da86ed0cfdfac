"""A tour of the chapter from its first claim to its last. Each station runs one command."""

import subprocess
import sys
import time

from gradpath.columns import command, width, wrapped
from gradpath.config.checks import PROJECT
from gradpath.errors import RunFailed
from gradpath.files import write_text
from gradpath.studies.chapter.entries import CHAPTER, FAILED, Entry

# Columns of a heading in a pipe.
HEADING = 80
# This file holds the name of the last station that was seen.
LAST = PROJECT / "logs/tour.txt"


def commands() -> dict[str, str]:
    """Name of the station -> its command."""
    return {name: entry.typed or f"python scripts/study.py {name} --quick" for name, entry in CHAPTER.items()}


def following() -> int:
    """The number of the station to go on with, from 1. After the last station it is one more than there are."""
    names = list(CHAPTER)
    last = LAST.read_text().strip() if LAST.is_file() else ""
    return names.index(last) + 2 if last in names else 1


def station(number: int) -> None:
    """Announces a station, runs its command in a process of its own, and notes that the station was seen.

    Raises:
        RunFailed: the command failed. A study with a conclusion that does not hold has not failed: it says so itself.
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
    said = wrapped(f"This station took {time.perf_counter() - began:.0f} s. {next_step(number)}")
    print("", *said, "", sep="\n", flush=True)


def _note(last: str) -> None:
    """Saves the last station seen. A station first saves its predecessor, so that a tour stopped in it goes on in it."""
    LAST.parent.mkdir(exist_ok=True)
    write_text(LAST, f"{last}\n")


def run(typed: str) -> int:
    """Runs the command `python ...`, which prints to the terminal, and returns its exit code."""
    arguments = [sys.executable, *typed.split()[1:]]
    with subprocess.Popen(arguments, cwd=PROJECT) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            # Ctrl-C reached the command too. Wait until it has ended in its own way.
            process.wait()
            raise


def announced(number: int, entry: Entry, typed: str) -> list[str]:
    """The lines before a station: its heading, what the chapter says, and the command."""
    *lines, last = wrapped(f"-- {number} of {len(CHAPTER)}: {entry.heading}", further="   ")
    head = [*lines, f"{last} ".ljust(width() or HEADING, "-")]
    return [*head, *wrapped(entry.says), *command(typed, "$ "), ""]


def next_step(number: int) -> str:
    """Names the station that comes after this one, or says that it was the last."""
    if number == len(CHAPTER):
        return "That was the last one. The pages in docs/studies tell it all at full size."
    return f"Next: {list(CHAPTER.values())[number].heading}"


def listed() -> list[str]:
    """The list of stations, one line each. `>` marks where the tour goes on."""
    goes_on = following()
    return [
        line
        for number, entry in enumerate(CHAPTER.values(), 1)
        for line in wrapped(entry.heading, f"{'>' if number == goes_on else ' '} {number:>2}  ", "      ")
    ]
