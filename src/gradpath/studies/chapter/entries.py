"""The chapter's studies by name, before any is run: nothing heavy is imported."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """title: the question. claims: of the chapter, whose words `says` are. lists: keys of its own, lists of numbers.
    overrides: it takes what train.py takes."""

    title: str
    claims: Sequence[str]
    says: str
    lists: Sequence[str] = ()
    overrides: bool = False


STUDIES: dict[str, Entry] = {
    "learning_rate": Entry(
        "Which learning rate?",
        ["C13"],
        "Try 0.1, 0.01, 0.001 and 0.0001 and plot the loss: a rate too high oscillates or ends in NaN, one too low is slow.",
        lists=["rates"],
        overrides=True,
    ),
}
