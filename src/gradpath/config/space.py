"""What a search chooses from: the keys that were typed with several values, or with an interval."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.types import IntervalSweep, Override

from gradpath.config.grammar import line, parse, values
from gradpath.config.grid import Grid, grid
from gradpath.errors import ConfigError

# A range of more values is checked at its two ends.
EACH = 100


@dataclass(frozen=True)
class Dimension:
    """A key that a search chooses a value for: one of `texts`, or a number of an interval.

    element: the key as it was typed.
    texts: the values of a choice, or those of a range, the smallest first; none for an interval.
    low, high: of a range or an interval; None for a choice.
    whole: whether the numbers are whole.
    step: of a range; None for an interval.
    """

    key: str
    element: str
    texts: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    whole: bool = False
    step: float | None = None
    log: bool = False

    def text(self, value: Any) -> str:
        """A chosen value as it would be typed."""
        if self.low is None or not self.texts:
            return str(value)
        # The texts of a range have no rounding errors.
        return self.texts[round((value - self.low) / self.step)] if self.step else self.texts[0]

    def short(self, value: Any) -> str:
        """The same with few digits, for a folder's name."""
        return f"{value:.3g}" if isinstance(value, float) and not self.texts else self.text(value)


@dataclass(frozen=True)
class Space:
    """All that a search can propose.

    corners: every choice and the ends of each interval, to be checked before anything is proposed.
    """

    dimensions: tuple[Dimension, ...]
    corners: Grid

    def overrides(self, chosen: Mapping[str, Any]) -> list[str]:
        """What a job would be given on a command line of its own.

        Args:
            chosen: key -> value, of each dimension.
        """
        texts = {**self.corners.fixed, **self._texts(chosen)}
        return [texts[key] for key in self.corners.order]

    def varied(self, chosen: Mapping[str, Any]) -> list[str]:
        return [*self._texts(chosen).values()]

    def named(self, chosen: Mapping[str, Any]) -> list[str]:
        """What a job's folder is named after."""
        return [f"{one.element}={one.short(chosen[one.key])}" for one in self.dimensions]

    def _texts(self, chosen: Mapping[str, Any]) -> dict[str, str]:
        return {one.key: f"{one.element}={one.text(chosen[one.key])}" for one in self.dimensions}


def space(typed: Iterable[Override], loader: ConfigLoader) -> Space:
    """The space of what an experiment varies and of what was typed, which counts where both name a key.

    Raises:
        ConfigError: there is nothing to choose, or a key's values cannot be chosen from.
    """
    last = {override.key_or_group: override for override in typed}
    dimensions = [_dimension(override) for override in last.values() if override.is_sweep_override()]
    if not dimensions:
        raise ConfigError("hydra/sweeper=optuna: nothing to choose; write optimizer.lr=interval(0.001,0.1), for instance.")
    tried = {one.key: f"{one.element}={','.join(_tried(one))}" for one in dimensions}
    corners = grid(parse((tried.get(key) or line(override) for key, override in last.items()), loader))
    return Space(tuple(dimensions), corners)


@contextmanager
def whole_numbers(found: Space) -> Iterator[None]:
    """Says of an interval of a key that takes whole numbers only how it is written. Its ends alone were not typed."""
    try:
        yield
    except ConfigError as error:
        for one in found.dimensions:
            ends = [] if one.texts or one.whole else [one.low, one.high]
            if any(str(error).startswith(f"{one.key}={end}: must be a whole number") for end in ends):
                inner = f"int(interval({one.low:g},{one.high:g}))"
                written = f"{one.element}={f'tag(log,{inner})' if one.log else inner}"
                raise ConfigError(f"{one.key}: must be a whole number; write {written}.") from None
        raise


def _tried(one: Dimension) -> Sequence[str]:
    if one.low is None or 0 < len(one.texts) <= EACH:
        return one.texts
    return (one.text(one.low), one.text(one.high))


def _dimension(override: Override) -> Dimension:
    key, element, typed = override.key_or_group, override.get_key_element(), line(override)
    content: Any = override.value()
    tags: set[str] = getattr(content, "tags", set())
    if tags - {"log"}:
        raise ConfigError(f"{typed}: the only tag is log, as in {key}=tag(log,interval(0.001,1)).")
    log = "log" in tags
    if isinstance(content, IntervalSweep):
        found = _interval(key, element, content, log, typed)
    elif override.is_range_sweep():
        found = _range(key, element, override, log, typed)
    else:
        if log:
            raise ConfigError(f"{typed}: only an interval or a range of whole numbers can be logarithmic.")
        found = Dimension(key, element, tuple(dict.fromkeys(values(override))))
    if log and (found.low or 0) <= 0:
        raise ConfigError(f"{typed}: a logarithmic scale begins above 0.")
    return found


def _interval(key: str, element: str, content: IntervalSweep, log: bool, typed: str) -> Dimension:
    low, high = content.start, content.end
    if low is None or high is None or not (isfinite(low) and isfinite(high) and low <= high):
        raise ConfigError(f"{typed}: write an interval from a number to a larger one.")
    return Dimension(key, element, low=low, high=high, whole=isinstance(low, int) and isinstance(high, int), log=log)


def _range(key: str, element: str, override: Override, log: bool, typed: str) -> Dimension:
    numbers: dict[float, str] = {float(text): text for text in values(override)}
    ascending = sorted(numbers)
    whole = all(number.is_integer() for number in ascending)
    step = _rounded(ascending[1] - ascending[0]) if len(ascending) > 1 else None
    if log and not (whole and step in (1, None)):
        raise ConfigError(f"{typed}: only an interval or a range of whole numbers in steps of 1 can be logarithmic.")
    texts = tuple(numbers[number] for number in ascending)
    return Dimension(key, element, texts, _rounded(ascending[0]), _rounded(ascending[-1]), whole, step, log)


def _rounded(value: float) -> float:
    """Without the last digits, in which range(0.1,0.5,0.1) has errors: Optuna wants an exact number of steps."""
    return float(f"{value:.12g}")
