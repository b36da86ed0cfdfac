"""The grid that a sweep is typed as: its axes, and what each of its jobs is given."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from hydra.core.override_parser.types import Override

from gradpath.config.grammar import line, values
from gradpath.errors import ConfigError, nearest

# What each axis of a job has: its number among the axis' values.
Place = tuple[int, ...]


@dataclass(frozen=True)
class Axis:
    """Keys that change together: one key, or those of `sweep.zip`.

    values: for each place on the axis, key -> `key=value`.
    """

    keys: tuple[str, ...]
    values: tuple[Mapping[str, str], ...]


@dataclass(frozen=True)
class Grid:
    """All jobs of a sweep: every combination of a place on each axis. The last axis changes fastest, as in Hydra.

    order: the keys as they were typed; a job's overrides come in this order.
    fixed: key -> `key=value` of every key that does not change.
    """

    order: tuple[str, ...]
    fixed: Mapping[str, str]
    axes: tuple[Axis, ...]

    def __len__(self) -> int:
        return prod(len(axis.values) for axis in self.axes)

    def places(self) -> Iterator[Place]:
        return product(*(range(len(axis.values)) for axis in self.axes))

    def places_beside(self, most: int) -> Iterator[Place]:
        """All places if there are no more than `most`; else those that differ from the first on one axis."""
        if len(self) <= most:
            yield from self.places()
            return
        first = (0,) * len(self.axes)
        yield first
        for number, axis in enumerate(self.axes):
            for k in range(1, len(axis.values)):
                yield (*first[:number], k, *first[number + 1 :])

    def place(self, number: int) -> Place:
        """Where the job with this number is."""
        found = []
        for axis in reversed(self.axes):
            number, k = divmod(number, len(axis.values))
            found.append(k)
        return tuple(reversed(found))

    def overrides(self, place: Place) -> list[str]:
        """What the job at `place` would be given on a command line of its own."""
        chosen = dict(self.fixed)
        for axis, k in zip(self.axes, place, strict=True):
            chosen |= axis.values[k]
        return [chosen[key] for key in self.order]

    def varied(self, place: Place) -> list[str]:
        """`key=value` of those keys that change in the sweep."""
        return [text for axis, k in zip(self.axes, place, strict=True) for text in axis.values[k].values()]


def listed(jobs: Sequence[Sequence[str]]) -> Grid:
    """A grid of one axis, with jobs that are each given as a list of overrides. They name the same keys."""
    texts = [
        {text.partition("=")[0]: text for text in job if not text.startswith(("hydra.", "hydra/", "sweep."))} for job in jobs
    ]
    keys = tuple(dict.fromkeys(key for job in texts for key in job))
    same = {key for key in keys if len({job.get(key) for job in texts}) == 1}
    axis = Axis(
        tuple(key for key in keys if key not in same),
        tuple({k: v for k, v in job.items() if k not in same} for job in texts),
    )
    return Grid(keys, {key: texts[0][key] for key in same}, (axis,))


def grid(typed: Iterable[Override], zipped: Sequence[str] = ()) -> Grid:
    """The grid of what an experiment varies and of what was typed, which counts where both name a key.

    Args:
        zipped: keys that change together, first with first, second with second.

    Raises:
        ConfigError: a key of `zipped` has less than two values, or not as many as the others.
    """
    last = {override.key_or_group: override for override in typed}
    texts = {
        key: [f"{o.get_key_element()}={value}" for value in values(o)] if o.is_sweep_override() else [line(o)]
        for key, o in last.items()
    }
    for key in zipped:
        if key not in last or not last[key].is_sweep_override():
            many = [name for name, override in last.items() if override.is_sweep_override()]
            has = "has a single value" if key in last else "is given no values"
            raise ConfigError(f"sweep.zip: {key} {has} in this sweep; write several.{nearest(key, many)}")
    counts = {key: len(texts[key]) for key in zipped}
    if len(set(counts.values())) > 1:
        said = ", ".join(f"{key} has {count}" for key, count in counts.items())
        raise ConfigError(f"sweep.zip: keys that change together need as many values each; {said}.")
    axes, fixed = [], {}
    for key, override in last.items():
        if key in zipped:
            if key == next(name for name in last if name in zipped):
                together = tuple(name for name in last if name in zipped)
                axes.append(Axis(together, tuple({name: texts[name][k] for name in together} for k in range(counts[key]))))
        elif override.is_sweep_override():
            axes.append(Axis((key,), tuple({key: text} for text in texts[key])))
        else:
            fixed[key] = texts[key][0]
    return Grid(tuple(last), fixed, tuple(axes))
