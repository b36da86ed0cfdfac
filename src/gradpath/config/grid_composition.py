"""Composes and checks every job of a grid. Hydra composes each option once, not each job: a thousand would take minutes."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hydra.core.config_loader import ConfigLoader
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gradpath.config.checks import check, check_kind, check_model, check_types
from gradpath.config.fitting import check_fit
from gradpath.config.grammar import parse
from gradpath.config.grid import Axis, Grid, Place
from gradpath.config.hints import not_computed
from gradpath.config.overrides import Composition, check_job, plain
from gradpath.errors import ConfigError

Path = tuple[str, ...]
Leaves = dict[Path, Any]
Composed = tuple[dict[str, Any], dict[str, str]]
# The value of a path that a part takes away.
GONE = object()


@dataclass(frozen=True)
class Part:
    """What one place on one axis changes in the configuration of another job, unresolved.

    chooses: whether it chooses an option. Options come before keys.
    """

    leaves: Leaves
    choices: Mapping[str, str]
    chooses: bool


class GridComposition:
    """The configuration of each job of a grid.

    Raises:
        ConfigError: the configuration of the first job is wrong.
    """

    def __init__(self, grid: Grid, loader: ConfigLoader) -> None:
        self.grid, self.loader = grid, loader
        # An experiment decides what the other options are, so the jobs of each experiment are composed on their own.
        self._outer = [k for k, axis in enumerate(grid.axes) if "experiment" in axis.keys]
        self._neighbourhoods: dict[Place, _Neighbourhood] = {}
        self.first = self._around((0,) * len(grid.axes)).job

    def __call__(self, place: Place) -> Composed:
        """The configuration of the job at `place`, resolved, and the option of every group.

        Raises:
            ConfigError: the configuration is wrong.
        """
        return self._around(place).composed(place)

    def _around(self, place: Place) -> "_Neighbourhood":
        middle = tuple(k if axis in self._outer else 0 for axis, k in enumerate(place))
        if middle not in self._neighbourhoods:
            self._neighbourhoods[middle] = _Neighbourhood(self.grid, self.loader, middle)
        return self._neighbourhoods[middle]


class _Neighbourhood:
    """One job, composed by Hydra, and what the other values of each axis change in it."""

    def __init__(self, grid: Grid, loader: ConfigLoader, middle: Place) -> None:
        self.grid, self.loader, self.middle = grid, loader, middle
        self.job = self._by_hydra(middle)
        self._leaves = _flat(self.job)
        self._groups = {*loader.list_groups("")}
        self._parts: dict[tuple[int, int], Part] = {}
        self._resolved: dict[str, Leaves] = {}

    def composed(self, place: Place) -> Composed:
        parts = [self._part(axis, k) for axis, k in enumerate(place) if k != self.middle[axis]]
        if _clash(parts):
            job = self._by_hydra(place)
            return job.config, job.choices
        leaves, choices = dict(self._leaves), dict(self.job.choices)
        for part in sorted(parts, key=lambda part: not part.chooses):
            leaves |= part.leaves
            choices |= part.choices
        config = _nested(self._resolve({path: value for path, value in leaves.items() if value is not GONE}))
        check(config)
        check_model(choices["model"], config["model"]["hidden"])
        check_fit(config, choices)
        return config, choices

    def _by_hydra(self, place: Place) -> Composition:
        return check_job(self.loader, parse(self.grid.overrides(place), self.loader))

    def _part(self, number: int, k: int) -> Part:
        if (number, k) not in self._parts:
            axis = self.grid.axes[number]
            self._parts[number, k] = self._of_a_key(axis, k) or self._of_options(number, k)
        return self._parts[number, k]

    def _of_a_key(self, axis: Axis, k: int) -> Part | None:
        """The part of one key with a value that is no mapping, without Hydra; None for any other."""
        key = axis.keys[0]
        if len(axis.keys) > 1 or key in self._groups or key not in self.job.known:
            return None
        value = parse([axis.values[k][key]])[0].value()
        if isinstance(value, dict):
            return None
        check_kind(key, value, self.job.known[key])
        node = OmegaConf.to_container(OmegaConf.create({"value": value}))
        assert isinstance(node, dict)
        return Part({tuple(key.split(".")): node["value"]}, {}, chooses=False)

    def _of_options(self, number: int, k: int) -> Part:
        """The part of a group's option, or of several keys: what differs between two jobs that Hydra composed."""
        place = tuple(k if axis == number else middle for axis, middle in enumerate(self.middle))
        job = self._by_hydra(place)
        leaves = _flat(job)
        changed = {path: value for path, value in leaves.items() if path not in self._leaves or self._leaves[path] != value}
        changed |= {path: GONE for path in self._leaves if path not in leaves}
        choices = {group: option for group, option in job.choices.items() if self.job.choices.get(group) != option}
        return Part(changed, choices, any(key in self._groups for key in self.grid.axes[number].keys))

    def _resolve(self, leaves: Leaves) -> Leaves:
        """Replaces interpolations. Only those paths that they may name are given to OmegaConf, once for the same values."""
        texts = [value for value in leaves.values() if "${" in str(value)]
        named = {*re.findall(r"\w+", " ".join(map(str, texts)))}
        asked = {path: value for path, value in leaves.items() if "${" in str(value) or named & {*path}}
        key = repr(asked)
        if key not in self._resolved:
            self._resolved[key] = _resolved(asked, leaves)
        return leaves | self._resolved[key]


def _clash(parts: Iterable[Part]) -> bool:
    """Whether two parts change the same path, or one a path below the other's, so that they cannot be put together."""
    seen: set[Path] = set()
    above: set[Path] = set()
    for part in parts:
        changed = {*part.leaves}
        groups = {path[:n] for path in changed for n in range(1, len(path))}
        if seen & (changed | groups) or above & changed:
            return True
        seen |= changed
        above |= groups
    return False


def _resolved(asked: Leaves, leaves: Leaves) -> Leaves:
    try:
        content = OmegaConf.to_container(OmegaConf.create(_nested(asked)), resolve=True)
    except OmegaConfBaseException:
        # An interpolation names something else by a way of its own.
        try:
            content = OmegaConf.to_container(OmegaConf.create(_nested(leaves)), resolve=True)
        except OmegaConfBaseException as error:
            check_types(_nested(leaves))
            raise ConfigError(not_computed(error, _nested(leaves))) from None
    assert isinstance(content, dict)
    return dict(_leaves(content))


def _flat(job: Composition) -> Leaves:
    return dict(_leaves(plain(job.node, resolve=False)))


def _leaves(config: Mapping[Any, Any], above: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Each value by its path. Lists, null and empty groups are values."""
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, (*above, str(key)))
        else:
            yield (*above, str(key)), value


def _nested(leaves: Leaves) -> dict[str, Any]:
    config: dict[str, Any] = {}
    for path, value in leaves.items():
        node = config
        for name in path[:-1]:
            node = node.setdefault(name, {})
        node[path[-1]] = value
    return config
