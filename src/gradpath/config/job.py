"""One job of a command line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Job:
    """What a recipe is given.

    config: the whole configuration, resolved, as plain dicts and lists.
    choices: the option of every group.
    folder: everything is written here.
    overrides: what was typed.
    number: the job's place in a sweep, from 0; None for a single run.
    swept: the longest `key=value` of each key that the sweep varies.
    """

    config: Mapping[str, Any]
    choices: Mapping[str, str]
    folder: Path
    overrides: list[str]
    number: int | None = None
    swept: Sequence[str] = ()
