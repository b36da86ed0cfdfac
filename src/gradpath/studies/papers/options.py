"""The command line of `scripts/verify_science.py`; nothing heavy is imported before it has been read."""

from argparse import Namespace

from gradpath.errors import ConfigError
from gradpath.studies.script import Arguments

COUNT = 20
# Take longer than all others together: training to depth 60, the edge of stability.
SLOW = (3, 15)


def read(doc: str | None, arguments: list[str]) -> Namespace:
    """`numbers` of the claims to verify, `seeds` (None: each claim's own number), `name` of this choice.

    Raises:
        ConfigError: what was typed, and what is allowed.
    """
    parser = Arguments(doc, picture=False)
    parser.add_argument("--only", metavar="N[,N]", help=f"these claims of the {COUNT}: every number of each is shown")
    parser.add_argument("--seeds", metavar="N", help="seeds of each random claim, in place of those stated")
    slow = " and ".join(map(str, SLOW))
    parser.add_argument("--quick", action="store_true", help=f"leave out {slow}, which take longest")
    typed = parser.read(arguments)
    if typed.only is not None and typed.quick:
        raise ConfigError("--only and --quick: choose one of them.")
    every = [n for n in range(1, COUNT + 1) if not (typed.quick and n in SLOW)]
    typed.numbers = every if typed.only is None else _numbers(typed.only)
    typed.name = "_quick" if typed.quick else "" if typed.only is None else "_" + "_".join(map(str, typed.numbers))
    typed.seeds = None if typed.seeds is None else _positive(typed.seeds)
    return typed


def _numbers(text: str) -> list[int]:
    """`8,12` -> [8, 12], ascending, each once."""
    parts = [part.strip() for part in text.split(",")]
    wrong = [part for part in parts if not (part.isascii() and part.isdigit() and 1 <= int(part) <= COUNT)]
    if wrong:
        raise ConfigError(
            f"--only {text}: {wrong[0] or 'an empty number'} is not a claim; there are 1 to {COUNT}: write 8, or 8,12."
        )
    return sorted({int(part) for part in parts})


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise ConfigError(f"--seeds {text}: must be a whole number, at least 1.")
    return int(text)
