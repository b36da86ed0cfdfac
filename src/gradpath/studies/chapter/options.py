"""The command line of `scripts/study.py`."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import yaml

from gradpath.errors import ConfigError, nearest
from gradpath.studies.chapter.entries import STUDIES, Entry
from gradpath.studies.script import Arguments

# Exit code of a study with a conclusion that does not hold: 1 is that of one that could not be made.
FAILED = 3
# What a study that takes overrides gives its runs itself.
OWN = ("seed", "optimizer.lr", "schedule", "probe", "trainer.log_every_n_steps", "resume")


def read(doc: str | None, typed: list[str] | None = None) -> Namespace:
    """`names` of the studies to run (none: list them, in `listed`), `typed` and `places` (a folder of its own) for each,
    `quick`, `pages`, and `given` for the study's function.

    Raises:
        ConfigError: what was typed, and what is allowed.
    """
    parser = Arguments(doc, picture=False)
    parser.add_argument("words", nargs="*", metavar="NAME [key=value ...]", help="a study, and what it takes")
    parser.add_argument("--quick", action="store_true", help="fewer and smaller runs")
    parser.add_argument("--all", action="store_true", help="every study")
    parser.add_argument("--pages", type=Path, metavar="FOLDER", help="write pages and pictures there")
    chosen = parser.read(typed)
    names = [word for word in chosen.words if "=" not in word]
    keys = [word for word in chosen.words if "=" in word]
    wrong = next((name for name in names if name not in STUDIES), None)
    if wrong:
        raise ConfigError(f"{wrong}: no such study.{nearest(wrong, list(STUDIES))} There are {', '.join(STUDIES)}.")
    if len(names) > 1 or (chosen.all and (names or keys)):
        raise ConfigError(f"{' '.join(chosen.words)}: write the name of one study, or --all alone.")
    if chosen.pages == Path():
        raise ConfigError("--pages: must name a folder of its own, as in --pages docs/studies.")
    if (chosen.quick or chosen.pages) and not (names or chosen.all):
        raise ConfigError(f"which study? There are {', '.join(STUDIES)}, and --all.")
    if keys and not names:
        raise ConfigError(f"{keys[0]}: which study is it for? There are {', '.join(STUDIES)}.")
    chosen.names = list(STUDIES) if chosen.all else names
    chosen.given = _given(names[0], STUDIES[names[0]], keys) if names else {}
    ending = "".join(f" {text}" for text in (*keys, *(["--quick"] if chosen.quick else [])))
    chosen.typed = {name: f"python scripts/study.py {name}{ending}" for name in chosen.names}
    # Words that describe a study, as a folder's name.
    kept = "".join(c if c.isalnum() or c in "-_.=" else "-" for c in "_".join(keys))
    chosen.places = {name: "_".join(filter(None, (name, "quick" * chosen.quick, kept))) for name in chosen.names}
    width = max(map(len, STUDIES)) + 2
    chosen.listed = [f"{name:<{width}}{entry.title} ({', '.join(entry.claims)})" for name, entry in STUDIES.items()]
    return chosen


def _given(name: str, entry: Entry, keys: list[str]) -> dict[str, Any]:
    """What a study takes: lists of numbers for its own keys, everything else handed on."""
    given: dict[str, Any] = {}
    rest = []
    for text in keys:
        key, _, value = text.partition("=")
        if key in entry.lists:
            given[key] = _numbers(text, value)
        elif entry.overrides and (key in OWN or key.startswith("hydra.")):
            raise ConfigError(f"{text}: {name} sets it itself.")
        elif entry.overrides and nearest(key, entry.lists):
            raise ConfigError(f"{text}: {name} has no such key.{nearest(key, entry.lists)}")
        else:
            rest.append(text)
    if rest and not entry.overrides:
        takes = f" It takes {', '.join(entry.lists)}." if entry.lists else " It takes none."
        raise ConfigError(
            f"{rest[0]}: {name} has no such key.{nearest(rest[0].partition('=')[0], list(entry.lists))}{takes}"
        )
    return given | ({"overrides": rest} if rest else {})


def _numbers(text: str, value: str) -> list[float]:
    try:
        found = yaml.safe_load(value)
    except yaml.YAMLError:
        found = None
    # YAML takes 1e-3 for a word.
    try:
        return [float(number) for number in (found if isinstance(found, list) else [found])]
    except (TypeError, ValueError):
        raise ConfigError(f"{text}: must be a list of numbers, as in {text.partition('=')[0]}=[0.1,0.01].") from None
