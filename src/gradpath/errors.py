"""The two exceptions that end a run early, each with a text of one line, and helpers that word such a line."""

import difflib
import re
from collections.abc import Iterable

# Characters of an exception's text in one line, and of those at its end.
LONGEST, TAIL = 300, 100
# Longer than any path that is allowed.
LONG_WORD = re.compile(r"(\S{100})\S{4000,}(\S{20})")


class ConfigError(ValueError):
    """A wrong input. The text names the key, what is wrong and what is allowed. Exit code 2; nothing was written.

    What was typed may be in it, so that control characters are written out and the middle of a very long word is left out.
    """

    def __init__(self, text: str) -> None:
        printable = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
        super().__init__(LONG_WORD.sub(r"\1[...]\2", printable))


class RunFailed(RuntimeError):  # noqa: N818 - a fact, not an error of the program
    """A run ended with an exception, or with NaN under fail_on_divergence. result.json tells more. Exit code 1."""


class Stopped(SystemExit):
    """The user stopped a run, which can go on; the code is 130 after Ctrl-C and 143 after SIGTERM."""

    code: int


def text_of(error: BaseException) -> str:
    """What an exception says; its type if it says nothing, or if a user's own exception fails to say it."""
    try:
        return str(error).strip() or type(error).__name__
    except Exception:
        return type(error).__name__


def first_line(error: BaseException) -> str:
    """What an exception of a library says, in one line without a full stop; its type if it says nothing."""
    return text_of(error).splitlines()[0].rstrip(". ")


def in_one_line(error: BaseException) -> str:
    """All that an exception says, without a full stop: of a long text the beginning and the end, where what helps stands."""
    text = " ".join(text_of(error).split()).rstrip(". ") or type(error).__name__
    return text if len(text) <= LONGEST else f"{text[: LONGEST - TAIL]} [...] {text[-TAIL:]}"


def nearest(word: str, allowed: Iterable[str]) -> str:
    """` Did you mean x?`, or an empty string if no allowed word is close."""
    same = {name.lower(): name for name in allowed}
    match = difflib.get_close_matches(word.lower(), same, n=1, cutoff=0.6)
    # A beginning, such as max for maximize, is less alike than it is clear.
    match = match or ([name for name in same if name.startswith(word.lower())] if len(word) > 1 else [])
    return f" Did you mean {same[match[0]]}?" if len(match) == 1 else ""


def nearest_part(word: str, allowed: Iterable[str]) -> str:
    """As `nearest`; if no word is close, all those with a close part: for `hee`, `he_normal or he_uniform`."""
    found = [*allowed]
    parts = {part for name in found for part in name.split("_") if len(part) > 1}
    match = difflib.get_close_matches(word.lower(), parts, n=1, cutoff=0.75)
    near = [name for name in found if match and match[0] in name.split("_")]
    return nearest(word, found) or (f" Did you mean {alternatives(near)}?" if near else "")


def nearest_key(key: str, allowed: Iterable[str]) -> str:
    """As `nearest`, for keys such as `sweep.name`: what they all begin with makes none of them alike."""
    last = {name.rpartition(".")[2]: name for name in allowed}
    typed = key.rpartition(".")[2].lower()
    near = [*difflib.get_close_matches(typed, last, n=1, cutoff=0.6), *(name for name in last if name.startswith(typed))]
    return f" Did you mean {last[near[0]]}?" if near else ""


def counted(count: int, what: str) -> str:
    """`1 job`, `2 jobs`."""
    return f"{count} {what}{'s' * (count != 1)}"


def alternatives(words: Iterable[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    *rest, last = list(words) or ["nothing"]
    return f"{', '.join(rest)} or {last}" if rest else last
