"""What each of many runs was given, and the keys in which they differ."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gradpath.sweep.resolved import Leaves, edited, leaves
from gradpath.sweep.rows import Row
from gradpath.sweep.typed_values import meaning

Values = dict[str, str | None]
SEED, FOLDER = "seed", "folder"


@dataclass(frozen=True)
class Run:
    """A run, as far as it is compared with others.

    source: the folder by which it was asked for: a sweep's or its own.
    folder: its own folder.
    typed: key -> value, as typed.
    choices: group -> option; empty if the run has not come to its end.
    row: what came out, without what was given.
    code, packages, command: as in the sweep's plan; empty for a run alone.
    goals: the columns that a search looked at -> minimize or maximize; empty for a run of no search.
    """

    source: Path
    folder: Path
    typed: Mapping[str, str]
    choices: Mapping[str, str]
    row: Row
    code: str = ""
    packages: tuple[str, ...] = ()
    command: int = 0
    goals: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Given:
    """What many runs were given.

    keys: in which they differ, in the order in which they were typed.
    values: of each run.
    edited: those of the keys that no command names.
    """

    keys: list[str]
    values: list[Values]
    edited: list[str]


def given(runs: Sequence[Run]) -> Given:
    """The keys in which the runs differ, and the values of each run.

    A key that some run was not given counts with the option that the run had, or with the value in its `config.yaml`. Texts
    that mean the same, such as 0.1 and 1e-1, are one value. Keys in which the configurations of a sweep differ though no
    command says so are among the keys. Runs from several folders that differ in nothing else differ in `folder`.
    """
    texts: dict[str, str] = {}
    configs = [leaves(run.folder, texts) for run in runs]
    keys = _candidates(runs)
    unsaid = [key for key in _edited(runs, configs) if key not in keys]
    keys += unsaid
    values = [_values(run, config, keys) for run, config in zip(runs, configs, strict=True)]
    _infer(runs, values)
    for key in keys:
        _unify(key, values)
    differing = [key for key in keys if len({value[key] for value in values}) > 1]
    found = [{key: value[key] for key in dict.fromkeys([*differing, SEED])} for value in values]
    if len({run.source for run in runs}) > 1:
        names = _names(run.source for run in runs)
        # A run is told apart from one of another folder, so that no run counts twice as if it were two seeds.
        if max(Counter(tuple(value.values()) for value in found).values()) > 1:
            differing.append(FOLDER)
        found = [value | {FOLDER: names[run.source]} for run, value in zip(runs, found, strict=True)]
    return Given(differing, found, [key for key in unsaid if key in differing])


def _candidates(runs: Sequence[Run]) -> list[str]:
    keys = dict.fromkeys(key for run in runs for key in run.typed)
    # An experiment stands for the options that it chooses.
    if len({run.source for run in runs}) > 1 and "experiment" not in keys:
        keys |= dict.fromkeys(key for run in runs for key in run.choices)
    return [*dict.fromkeys([*keys, SEED])]


def _edited(runs: Sequence[Run], configs: Sequence[Leaves]) -> list[str]:
    """The keys of each sweep's configurations that differ for no reason that was typed."""
    keys = [*dict.fromkeys(key for run in runs for key in run.typed)]
    typed: list[Values] = [{key: run.typed.get(key) for key in keys} for run in runs]
    for key in keys:
        _unify(key, typed)
    found: dict[str, None] = {}
    for source in dict.fromkeys(run.source for run in runs):
        # A run that has not begun has no configuration, and one that has not ended no choices.
        own = [k for k, run in enumerate(runs) if run.source == source and configs[k] and run.choices]
        if len(own) > 1:
            words = [{key: text for key, text in typed[k].items() if text is not None} for k in own]
            chosen, commands = [runs[k].choices for k in own], [runs[k].command for k in own]
            found |= dict.fromkeys(edited([configs[k] for k in own], chosen, words, commands))
    return [*found]


def _values(run: Run, config: Leaves, keys: Iterable[str]) -> Values:
    found: Values = {}
    for key in keys:
        if key in run.typed:
            found[key] = run.typed[key]
        elif key == SEED:
            seed = run.row.get(SEED)
            found[key] = None if seed is None else str(seed)
        else:
            found[key] = run.choices.get(key, config.get(key))
    return found


def _infer(runs: Sequence[Run], values: Sequence[Values]) -> None:
    """A run that left nothing was given what all others of its folder were, where it was given nothing of its own."""
    known: dict[tuple[Path, str], set[str | None]] = {}
    for run, value in zip(runs, values, strict=True):
        for key, text in value.items():
            known.setdefault((run.source, key), set()).add(text)
    for run, value in zip(runs, values, strict=True):
        if run.row["status"] not in ("ok", "diverged"):
            for key, text in value.items():
                others = known[run.source, key] - {None}
                if text is None and len(others) == 1:
                    value[key] = next(iter(others))


def _unify(key: str, values: Sequence[Values]) -> None:
    """Writes values that mean the same as the first of them."""
    first: dict[str, str] = {}
    for value in values:
        text = value[key]
        if text is not None:
            value[key] = first.setdefault(meaning(text), text)


def _names(folders: Iterable[Path]) -> dict[Path, str]:
    """A name for each folder: its own, unless another has the same."""
    different = [*dict.fromkeys(folders)]
    counts = Counter(folder.name for folder in different)
    return {folder: folder.name if counts[folder.name] == 1 else str(folder) for folder in different}


def as_number(text: str | None) -> float | None:
    """The number that a value is; None if it is none."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def in_order(texts: Iterable[str | None]) -> dict[str | None, int]:
    """Each value's place: by size if all are numbers, else by the alphabet; what has no value comes last."""
    different = {*texts} - {None}
    numbers = {text: as_number(text) for text in different}
    if None in numbers.values():
        ordered: list[str | None] = sorted(different, key=str)
    else:
        ordered = sorted(different, key=lambda text: (numbers[text], str(text)))
    return {text: place for place, text in enumerate([*ordered, None])}
