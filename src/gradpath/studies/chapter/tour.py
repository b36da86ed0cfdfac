"""The chapter from its first claim to its last, one command after another."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from textwrap import wrap

from gradpath.config import PROJECT
from gradpath.errors import RunFailed
from gradpath.files import write_text
from gradpath.studies.chapter.entries import CHAPTER, Entry

WIDTH = 80
# Commands that were seen to their end.
SEEN = PROJECT / "logs/tour.json"


def commands() -> dict[str, str]:
    """Of every station, by name."""
    return {name: entry.typed or f"python scripts/study.py {name} --quick" for name, entry in CHAPTER.items()}


def unseen() -> int:
    """The first station that has not been seen, from 1; one more than there are when all have."""
    seen = _seen()
    return next((k for k, typed in enumerate(commands().values(), 1) if typed not in seen), len(CHAPTER) + 1)


def station(number: int) -> None:
    """Says what comes, runs it in a process of its own, and notes that it was seen.

    Raises:
        RunFailed: the command failed.
    """
    name = list(CHAPTER)[number - 1]
    typed = commands()[name]
    print("\n".join(announced(number, CHAPTER[name], typed)), flush=True)
    began = time.perf_counter()
    code = run(typed)
    if code:
        raise RunFailed(f"station {number} ended with exit code {code}: {typed}")
    write_text(SEEN, json.dumps(sorted({*_seen(), typed}), indent=1) + "\n")
    print(f"\n{time.perf_counter() - began:.0f} s. {following(number)}\n", flush=True)


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


def following(number: int) -> str:
    """What comes after a station."""
    if number == len(CHAPTER):
        return "That was the last one. The pages in docs/studies tell it at full size."
    entry = list(CHAPTER.values())[number]
    return f"Next: {entry.title} ({', '.join(entry.claims)})"


def listed() -> Sequence[str]:
    """A line per station; x: seen."""
    seen = _seen()
    return [
        f"{'x' if typed in seen else ' '} {number:>2}  {CHAPTER[name].title} ({', '.join(CHAPTER[name].claims)})"
        for number, (name, typed) in enumerate(commands().items(), 1)
    ]


def _seen() -> set[str]:
    try:
        return set(json.loads(SEEN.read_text()))
    except (OSError, ValueError, TypeError):
        return set()
