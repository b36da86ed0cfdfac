"""Keys in which the resolved configurations of a sweep's runs differ though no command says so.

An option's file that was edited between two commands makes such keys, and so does a run that went on with other values.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gradpath.config.saved_yaml import read_yaml
from gradpath.errors import ConfigError
from gradpath.files import CONFIG

# A key of a configuration, with the names above it -> its value as it would be typed.
Leaves = dict[str, str]
Values = Sequence[str | None]


def leaves(folder: Path, texts: dict[str, str]) -> Leaves:
    """The values of a run's `config.yaml`; none of a file that is missing or damaged.

    Args:
        texts: what has been read already. Runs share most of it.
    """
    try:
        content = read_yaml(folder / CONFIG)
    except ConfigError:
        return {}
    found: Leaves = {}
    _collect(content, "", found, texts)
    return found


def _collect(content: Any, above: str, found: Leaves, texts: dict[str, str]) -> None:
    for name, value in content.items() if isinstance(content, Mapping) else ():
        key = texts.setdefault(f"{above}{name}", f"{above}{name}")
        if isinstance(value, Mapping):
            _collect(value, f"{key}.", found, texts)
        else:
            text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), default=str)
            found[key] = texts.setdefault(text, text)


def edited(
    configs: Sequence[Leaves],
    choices: Sequence[Mapping[str, str]],
    typed: Sequence[Mapping[str, str]],
    commands: Sequence[int],
) -> list[str]:
    """The keys whose values differ between runs of one sweep for no reason that was typed.

    What another option brings with it, or another experiment, was typed; and so was what a configuration makes of it: a copy
    of such a value (`trainer.max_epochs` of `data.epochs`), or a list (`model.hidden` of `model.depth`). The jobs of a
    command were composed at one moment, so a key that differs between them follows what was typed. Not the seed: runs
    that differ in nothing else are averaged.

    Args:
        configs: of each run that has one.
        choices: group -> option, of each run.
        typed: key -> value of each run, one way of writing per value.
        commands: which of the sweep's commands asked for each run.
    """
    names = dict.fromkeys(key for values in typed for key in values)
    known: set[tuple[str | None, ...]] = set()
    open_keys: dict[str, Values] = {}
    for key in dict.fromkeys(key for config in configs for key in config if key != "resume"):
        column = tuple(config.get(key) for config in configs)
        if len({*column}) == 1:
            continue
        group = key.partition(".")[0]
        options = [(run.get(group), values.get("experiment")) for run, values in zip(choices, typed, strict=True)]
        beside = [name for name in names if name.partition(".")[0] == group]
        near = [tuple(values.get(name) for name in beside) for values in typed]
        made_of = [*zip(options, near, strict=True)] if _is_list(column) else options
        if _is_typed(key, names) or _follows(column, made_of):
            known.add(column)
        else:
            open_keys[key] = column
            by_command = [*zip(options, commands, strict=True)]
            said = [tuple(pair for pair in values.items() if pair[0] != "seed") for values in typed]
            if not _follows(column, by_command) and _follows(column, said):
                known.add(column)
    return [key for key, column in open_keys.items() if column not in known]


def _is_list(column: Values) -> bool:
    return any(text and text.startswith("[") for text in column)


def _is_typed(key: str, names: Iterable[str]) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in names if "." in name or name == key)


def _follows(column: Values, reasons: Sequence[Any]) -> bool:
    """Whether runs of the same reason have the same value."""
    first: dict[Any, str | None] = {}
    return all(first.setdefault(reason, text) == text for reason, text in zip(reasons, column, strict=True))
