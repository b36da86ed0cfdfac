"""Reads the command line of `scripts/study.py`: which studies to run, with which arguments, in which folders."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradpath.columns import wrapped
from gradpath.config.arguments import Command, Keys, Value, numbers, one_of
from gradpath.errors import ConfigError
from gradpath.studies.chapter.entries import STUDIES

# Keys that a study sets in its runs itself, so that they may not be typed.
OWN = ("seed", "optimizer.lr", "schedule", "probe", "trainer.log_every_n_steps", "resume")
LIST = Value(numbers(), "[N,N]")


def folder(text: str) -> Path:
    """The path of a folder for pages.

    Raises:
        ConfigError: it names the current folder.
    """
    if Path(text) == Path():
        raise ConfigError("must name a folder of its own, such as docs/studies.")
    return Path(text)


WORDS = {"study": Value(one_of(tuple(STUDIES)), "STUDY")}
KEYS = {name: Keys(dict.fromkeys(entry.lists, LIST), entry.overrides) for name, entry in STUDIES.items()}
FLAGS = {
    "--quick": Value(bool, help="fewer and smaller runs"),
    "--all": Value(bool, help="every study"),
    "--pages": Value(folder, "FOLDER", help="write pages and pictures there"),
}


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line.

    names: the studies to run; empty if they are to be listed.
    keys: the `key=value` arguments as they were typed.
    given: the same arguments as keyword arguments of the study's function.
    quick: whether to make fewer and smaller runs.
    every: whether --all was typed.
    pages: the folder for pages and pictures; None if --pages was not typed.
    """

    names: Sequence[str]
    keys: Sequence[str]
    given: dict[str, Any]
    quick: bool
    every: bool
    pages: Path | None

    def typed(self, name: str) -> str:
        """The command that runs the study `name` alone."""
        return " ".join(["python scripts/study.py", name, *self.keys, *(["--quick"] if self.quick else [])])

    def place(self, name: str) -> str:
        """The name of the folder for the study `name`, made of that name and the arguments."""
        kept = "".join(c if c.isalnum() or c in "-_.=" else "-" for c in "_".join(self.keys))
        return "_".join(filter(None, (name, "quick" * self.quick, kept)))


def read(doc: str | None, typed: Sequence[str] | None = None) -> Request:
    """Reads a command line.

    Args:
        doc: the script's docstring, which --help prints.
        typed: the arguments; None for those of this process.

    Raises:
        ConfigError: a wrong argument. The message says what was typed and what is allowed.
    """
    chosen = Command(doc, WORDS, KEYS, FLAGS).read(typed)
    if chosen.all and chosen.typed:
        raise ConfigError(f"{' '.join(chosen.typed)}: write the name of one study, or --all alone.")
    if (chosen.quick or chosen.pages) and not (chosen.study or chosen.all):
        raise ConfigError(f"which study? There are {', '.join(STUDIES)}, and --all.")
    for text in chosen.overrides:
        if text.startswith("hydra.") or text.partition("=")[0] in OWN:
            raise ConfigError(f"{text}: {chosen.study} sets it itself.")
    names = list(STUDIES) if chosen.all else [chosen.study] if chosen.study else []
    lists = KEYS[chosen.study].own if chosen.study else {}
    given = {key: getattr(chosen, key) for key in lists if getattr(chosen, key)}
    if chosen.overrides:
        given["overrides"] = chosen.overrides
    keys = [text for text in chosen.typed if "=" in text]
    return Request(names, keys, given, chosen.quick, chosen.all, chosen.pages)


def listed() -> list[str]:
    """The list of studies, one line each: name, question, claims."""
    first = max(map(len, STUDIES)) + 2
    lines = wrapped("NAME".ljust(first) + "question (C1 to C18: the chapter's claims that it answers)", further=" " * first)
    for name, entry in STUDIES.items():
        lines += wrapped(entry.heading, name.ljust(first), " " * first)
    return lines
