"""The width of the terminal, and text wrapped to it at words. In a pipe or a file lines stay as long as they are."""

import os
import re
import sys
from itertools import groupby
from textwrap import wrap
from typing import TextIO

# Stands for a space at which a line is not broken.
TIE = "\u00a0"


def width(stream: TextIO | None = None) -> int | None:
    """The columns of the terminal that `stream` (stdout if left out) writes to; None if it writes to none."""
    stream = stream or sys.stdout
    if not stream.isatty():
        return None
    # rich and argparse follow COLUMNS, too.
    typed = os.environ.get("COLUMNS", "")
    return (int(typed) if typed.isdigit() else 0) or os.get_terminal_size(stream.fileno()).columns or 80


def tied(text: str) -> str:
    """The text as one word for `wrapped`: what belongs together stays together, whatever the terminal's width."""
    return text.replace(" ", TIE)


def wrapped(text: str, first: str = "", further: str = "", stream: TextIO | None = None) -> list[str]:
    """The text in lines no wider than the terminal. A word that is wider stays whole. In a pipe it is one line.

    Args:
        first: stands before the first line.
        further: stands before each line after it.
    """
    columns = width(stream)
    lines = [first + text] if columns is None else _wrapped(text, columns, first, further)
    return [line.replace(TIE, " ") for line in lines]


def command(typed: str, first: str = "") -> list[str]:
    """A shell command. In a narrow terminal it goes on behind a backslash, so that it can still be copied."""
    columns = width()
    if columns is None or len(first + typed) <= columns:
        return [first + typed]
    *lines, last = _wrapped(typed, columns - 2, first, " " * (len(first) + 4))
    return [*(f"{line} \\" for line in lines), last]


def fitted(text: str, joined: bool = False) -> str:
    """A text of many lines, such as a help. In a terminal too long ones go on in the next line.

    Indented lines show commands. What explains them moves below them where one line of a block is too long.

    Args:
        joined: whether lines that are not indented form paragraphs, which are wrapped as a whole.
    """
    columns = width()
    if columns is None:
        return text
    lines: list[str] = []
    for kind, block in groupby(text.split("\n"), key=_kind):
        found = [*block]
        if kind == "command" and max(map(len, found)) > columns:
            lines += [part for line in found for part in _explained_below(line)]
        elif kind == "prose" and joined:
            lines += _wrapped(" ".join(found), columns, "", "")
        else:
            lines += [part for line in found for part in _wrapped(line, columns, "", "    ")]
    return "\n".join(lines)


def _kind(line: str) -> str:
    return "empty" if not line.strip() else "command" if line.startswith(" ") else "prose"


def _explained_below(line: str) -> list[str]:
    indent = line[: len(line) - len(line.lstrip())]
    typed, *explained = re.split(r" {3,}", line.strip())
    below = f"{indent}    "
    first = command(typed, indent) if typed.startswith("python ") else wrapped(typed, indent, below)
    return [*first, *(part for words in explained for part in wrapped(words, below, below))]


def _wrapped(text: str, columns: int, first: str, further: str) -> list[str]:
    """`textwrap.wrap` with whole words. A text that fits keeps its spaces."""
    if len(first + text) <= columns:
        return [first + text]
    return wrap(
        text, columns, initial_indent=first, subsequent_indent=further, break_long_words=False, break_on_hyphens=False
    )
