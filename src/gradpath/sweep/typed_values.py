"""What was typed, as values: the keys of overrides, and when two texts mean the same."""

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import yaml

# These say where a run is made and how it goes on, not what it is.
NOT_GIVEN = ("hydra", "sweep", "resume")
# A number of more characters was drawn, not typed.
LONG, DIGITS, NUMBER = 9, 4, r"[+-]?\d*\.?\d*(?:e[+-]?\d+)?"


def typed_values(overrides: Iterable[Any]) -> dict[str, str]:
    """Key -> value of `key=value`. A key that is removed has none."""
    pairs = (str(text).lstrip("+").partition("=") for text in overrides)
    return {key: value for key, sign, value in pairs if sign and key.split(".")[0] not in NOT_GIVEN}


def same_when_equal(overrides: Iterable[Any]) -> frozenset[tuple[str, str]]:
    """Equal for overrides that ask for the same, in whatever order and words: `lr=0.1` and `lr=1e-1`."""
    texts = [*map(str, overrides)]
    removed = [(text, "") for text in texts if text.startswith("~")]
    return frozenset([*removed, *((key, meaning(value)) for key, value in typed_values(texts).items())])


@lru_cache(maxsize=100_000)
def meaning(text: str) -> str:
    """Equal for texts that mean the same value: 0.1 and 1e-1, [8,8] and [8, 8]."""
    try:
        content = yaml.safe_load(text) if "*" not in text else text
        return json.dumps(_plain(content), default=str)
    # YAML reads 2024-13-45 as a date that there is not, 0x_ as a number, and has keys of types that JSON has not.
    except (yaml.YAMLError, ValueError, TypeError, RecursionError):
        return json.dumps(text)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, bool) or value is None:
        return value
    try:
        # YAML takes 1e-3 for a text.
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return value


def briefly(texts: Iterable[str | None]) -> dict[str | None, str]:
    """The values of a key as people read them: a number that was drawn has four digits, or as many as keep values apart."""
    different = {text for text in texts if text is not None}
    found: dict[str | None, str] = {}
    for digits in range(DIGITS, 18):
        found = {text: f"{float(text):.{digits}g}" if is_long(text) else text for text in different}
        if len({*found.values()}) == len(different):
            break
    return found


def is_long(text: str) -> bool:
    return len(text) > LONG and re.fullmatch(NUMBER, text) is not None
