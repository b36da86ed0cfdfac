"""Reads the JSON files of a folder that may be anybody's: what we never write is refused before it costs anything."""

import json
from pathlib import Path
from typing import Any

from gradpath.errors import ConfigError
from gradpath.files import read_regular

# Bytes. The result of a network of a thousand layers takes a megabyte.
LARGEST = 2**26
# What JSON holds in place of numbers that it does not have.
NOT_FINITE = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}
# Lists and mappings within each other, of which a result has five; digits of a whole number.
DEEPEST, DIGITS = 50, 20


def read_json(path: Path, largest: int = LARGEST) -> dict[str, Any]:
    """The content of a `result.json`, or of another file of one mapping.

    Args:
        largest: bytes.

    Raises:
        ConfigError: as `read_regular` and `parsed`. The text does not name the file.
    """
    return parsed(read_regular(path, largest))


def parsed(data: bytes) -> dict[str, Any]:
    """The mapping that JSON describes. Half a pair of surrogates, which no file and no terminal can have, becomes a ?.

    Raises:
        ConfigError: it is no JSON, no mapping, too deep, or has a number that no run could have written.
    """
    try:
        content = json.loads(data.decode(), parse_int=_whole)
    except (ValueError, RecursionError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"damaged ({type(error).__name__}).") from None
    if not isinstance(content, dict):
        raise ConfigError("damaged (no mapping).")
    level: list[Any] = [content]
    for _ in range(DEEPEST):
        parts = (part.values() if isinstance(part, dict) else part for part in level)
        level = [item for part in parts for item in part if isinstance(item, dict | list)]
    if level:
        raise ConfigError("damaged (lists within lists).")
    # Only an escape brings one in: the bytes have been decoded.
    return _printable(content) if b"\\ud" in data.lower() else content


def number(value: Any) -> Any:
    """What a result's number was before it was written as JSON. Any other value stays as it is."""
    return NOT_FINITE.get(value, value) if isinstance(value, str) else value


def _whole(text: str) -> int:
    if len(text) > DIGITS:
        raise ConfigError(f"damaged (a number of {len(text)} digits).")
    return int(text)


def _printable(value: Any) -> Any:
    if isinstance(value, dict):
        return {_printable(key): _printable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_printable(item) for item in value]
    return value.encode(errors="replace").decode() if isinstance(value, str) else value
