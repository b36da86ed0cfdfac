"""The two exceptions that end a run early, each with a text of one line, and helpers that word such a line."""

import difflib
from collections.abc import Iterable


class ConfigError(ValueError):
    """A wrong input. The text names the key, what is wrong and what is allowed. Exit code 2; nothing was written."""


class RunFailed(RuntimeError):  # noqa: N818 - a fact, not an error of the program
    """A run ended with an exception, or with NaN under fail_on_divergence. result.json tells more. Exit code 1."""


def nearest(word: str, allowed: Iterable[str]) -> str:
    """` Did you mean x?`, or an empty string if no allowed word is close."""
    same = {name.lower(): name for name in allowed}
    match = difflib.get_close_matches(word.lower(), same, n=1, cutoff=0.6)
    return f" Did you mean {same[match[0]]}?" if match else ""


def alternatives(words: Iterable[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    *rest, last = list(words) or ["nothing"]
    return f"{', '.join(rest)} or {last}" if rest else last
