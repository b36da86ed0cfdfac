"""One job of a command line: what a recipe is given."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Job:
    """config: the whole configuration, resolved, as plain dicts and lists. choices: the option of every group. folder: where
    everything is written. overrides: what was typed. number: its place in a sweep, from 0; None for a run by itself."""

    config: Mapping[str, Any]
    choices: Mapping[str, str]
    folder: Path
    overrides: list[str]
    number: int | None = None
