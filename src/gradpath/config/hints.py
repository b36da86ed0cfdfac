"""What may have been meant by a key that does not exist. A hint that is followed leads to no other mistake of this kind."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher, get_close_matches
from typing import Any

from gradpath.config.schema import GROUPS, Root, Sweep, Sweeper
from gradpath.errors import alternatives, first_line

# Hydra's groups of which an option is chosen for a sweep.
PLUGINS = ("launcher", "sweeper")


@dataclass(frozen=True)
class Asked:
    """What a hint needs to know.

    known: the keys of the composed configuration, such as `optimizer.lr`.
    options: group -> its options.
    keys: a choice such as `optimizer=sgd` -> the group's keys with it.
    accepts: whether a choice goes with everything else that was chosen.
    """

    known: Collection[str]
    options: Callable[[str], Sequence[str]]
    keys: Callable[[str], Collection[str]]
    accepts: Callable[[str], bool]


def near_key(key: str, value: str, asked: Asked) -> str:
    """A sentence that names the key or group that was meant; an empty string if none is close."""
    if hint := _of_a_sweep(key, value, asked):
        return hint
    root = "" if "." in key or _groups_with(key) else _near_root(key, value, asked)
    return root or next((hint for group, name in _places(key, asked) if (hint := _in_group(key, group, name, asked))), "")


def _of_a_sweep(key: str, value: str, asked: Asked) -> str:
    """The key of `sweep`, or Hydra's option or key, that is typed without its beginning, or with a misspelt one."""
    first, _, rest = key.partition(".")
    name = key.rpartition(".")[2]
    if first in PLUGINS and rest:
        return f" Did you mean hydra.{key}?"
    if plugin := get_close_matches(first, [] if rest else PLUGINS, n=1, cutoff=0.8):
        option = get_close_matches(value, asked.options(f"hydra/{plugin[0]}"), n=1)
        return f" Did you mean hydra/{plugin[0]}{f'={option[0]}' if option else ''}?"
    if _groups_with(name) or name in Root.__annotations__:
        return ""
    if name in Sweeper.__annotations__:
        return f" Did you mean hydra.sweeper.{name}, a key of hydra/sweeper=optuna?"
    own = [name for name in Sweep.__annotations__ if not _groups_with(name) and name not in Root.__annotations__]
    bare = not rest or get_close_matches(first, ["sweep"])
    near = get_close_matches(name, own, n=1, cutoff=0.8 if bare else 1)
    return f" Did you mean sweep.{near[0]}?" if near else ""


def _alike(typed: str, name: str) -> bool:
    """Whether a name may be meant: one letter is wrong, two are exchanged, or one is a part of the other."""
    ratio = SequenceMatcher(None, typed, name).ratio()
    return ratio >= 0.8 or sorted(typed) == sorted(name) or (len(typed) > 2 and (typed in name or name in typed))


def _near_root(typed: str, value: str, asked: Asked) -> str:
    """The group with such an option, or the key outside all groups, whose name is closest."""
    for name in get_close_matches(typed.lower(), [*GROUPS, "experiment", *Root.__annotations__]):
        if name in Root.__annotations__ or (value in asked.options(name) and asked.accepts(f"{name}={value}")):
            return f" Did you mean {name}?"
    return ""


def _places(key: str, asked: Asked) -> Iterator[tuple[str, str]]:
    """Groups, each with the name to look for in it: those with a key of that very name first. "" is outside all groups."""
    typed, _, rest = key.partition(".")
    near = get_close_matches(typed, GROUPS, n=1) if rest else []
    last = key.rsplit(".", 1)[-1]

    def rank(group: str) -> tuple[bool, bool]:
        return group not in near, f"{group}.{last}" not in asked.known

    if rest and last in Root.__annotations__:
        yield "", last
    yield from ((group, last) for group in sorted(_groups_with(last), key=rank))
    yield from ((group, rest) for group in near)
    names = {name for schema in GROUPS.values() for name in schema.__annotations__}
    for name in get_close_matches(last, [*names, *Root.__annotations__], n=1, cutoff=0.7):
        if _alike(last, name):
            yield from ((group, name) for group in _groups_with(name) or [""])


def _groups_with(name: str) -> list[str]:
    return [group for group, schema in GROUPS.items() if name in schema.__annotations__]


def _in_group(typed: str, group: str, name: str, asked: Asked) -> str:
    """The hint at the key `name` of a group, or at the one closest to it, in the chosen option or in others."""
    if not group:
        return f" Did you mean {name}?"
    homes: dict[str, list[str]] = {}
    for option in asked.options(group):
        for key in asked.keys(f"{group}={option}"):
            homes.setdefault(key, []).append(f"{group}={option}")
    wanted = f"{group}.{name}"
    # Where the group itself was typed, what is close to the whole key will do.
    own = typed.startswith(f"{group}.")
    close = get_close_matches(wanted, homes, n=3, cutoff=0.75)
    near = [key for key in close if own or _alike(name, key.removeprefix(f"{group}."))]
    for key in [wanted] if wanted in homes else near:
        if key in asked.known:
            return f" Did you mean {key}?"
        if options := [option for option in homes[key] if asked.accepts(option)]:
            named = alternatives(options)
            return f" It belongs to {named}." if key == typed else f" Did you mean {key}, a key of {named}?"
    return ""


def not_computed(error: Exception, config: Mapping[str, Any]) -> str:
    """What to answer if OmegaConf cannot compute a value of the unresolved configuration."""
    said = re.sub(r"^\w+ raised while resolving interpolation: ", "", first_line(error))
    # Our resolvers have no names that a user knows.
    said = re.sub(r"\S*<lambda>\(\)|\b_repeat\(\)", "it is", said).replace("it is missing", "it lacks")
    said = said.replace("HydraConfig was not set", "Hydra's own values are not known yet")
    key = str(getattr(error, "full_key", None) or "")
    value: Any = config
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return f"{key}={value}: cannot be computed: {said}." if isinstance(value, str) else f"{said}."
