"""Trains the arms of a comparison, each at its own best learning rate, so that the rate does not decide between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from gradpath.studies import trainings
from gradpath.studies.chapter.study import percent, seeded

# The accuracy of a run that met NaN: it guesses one digit in ten right.
CHANCE = 0.1
# The rates that may be added. Those next to the best rate are added up to MORE times.
LADDER = tuple(float(f"{digit}e{power}") for power in range(-8, 3) for digit in (1, 3))
MORE = 3


@dataclass(frozen=True)
class Tuned:
    """One arm of a comparison.

    validation: learning rate -> validation accuracy, one number per seed.
    tests: the test accuracy at the best rate, one number per seed.
    folders: the folders of the runs at the best rate, one per seed.
    diverged: whether all runs at the best rate met NaN. No other rate did better than guessing then.
    """

    validation: Mapping[float, list[float]]
    tests: list[float]
    folders: list[Path]
    diverged: bool

    @property
    def rate(self) -> float:
        """The learning rate with the best validation accuracy."""
        return best(self.validation)

    @property
    def mean(self) -> float:
        """The mean test accuracy at the best rate."""
        return fmean(self.tests)

    @property
    def shown(self) -> tuple[str, str]:
        """Test accuracy and rate for a table. An asterisk marks a best rate that is the lowest or highest of those tried."""
        low, high = min(self.validation), max(self.validation)
        if self.diverged:
            return "diverged", f"{low:.1g} to {high:.1g}"
        return percent(self.tests), f"{self.rate:.1g}" + "*" * (self.rate in (low, high))


def tuned(
    place: str,
    arms: Mapping[str, Sequence[str]],
    rates: Mapping[str, Sequence[float]],
    seeds: int,
    keep: bool = False,
    more: int = MORE,
) -> dict[str, Tuned]:
    """Trains every arm at each of its rates with each seed, then at rates next to the best until both neighbours were tried.

    Args:
        place: the name of the study's folder.
        arms: name -> overrides.
        rates: name -> the learning rates tried first.
        seeds: the number of seeds.
        keep: leave the final weights in the folders.
        more: how many times rates are added at most.

    Raises:
        ConfigError, RunFailed: as `trainings.train_all`.
    """
    tried = {name: sorted(rates[name]) for name in arms}
    results = _trained(place, arms, tried, seeds, keep)
    found = _found(place, results, tried, seeds)
    for _ in range(more):
        nearer = {name: untried(one.rate, tried[name]) for name, one in found.items()}
        if not any(nearer.values()):
            break
        tried = {name: sorted([*known, *nearer[name]]) for name, known in tried.items()}
        results |= _trained(place, arms, nearer, seeds, keep)
        found = _found(place, results, tried, seeds)
    return found


def best(validation: Mapping[float, list[float]]) -> float:
    """The rate with the highest mean, of equals the lowest. Accuracies are rounded: float32's last digit must not decide."""
    return max(validation, key=lambda rate: (round(fmean(validation[rate]), 6), -rate))


def how(seeds: int, quick: bool) -> str:
    """Describes on a page how the learning rates were chosen."""
    rates = "of those tried" if quick else "of 1 and 3 times powers of ten, its neighbours tried too"
    return f"each at the learning rate that validates best ({rates}), {seeded(seeds)}; a run that met NaN counts as 10 %"


def untried(rate: float, tried: Sequence[float]) -> list[float]:
    """The rates next to `rate`, below and above, that are not in `tried`. They are 1 or 3 times a power of ten."""
    below = next((known for known in reversed(LADDER) if known < rate / 1.2), None)
    above = next((known for known in LADDER if known > 1.2 * rate), None)
    return [known for known in (below, above) if known is not None and known not in tried]


def _trained(
    place: str, arms: Mapping[str, Sequence[str]], rates: Mapping[str, Sequence[float]], seeds: int, keep: bool
) -> dict[str, dict[str, Any]]:
    """Trains every arm at each of its `rates` with every seed; returns the results by the cell's name."""
    cells = {
        _cell(name, rate, seed): (*overrides, f"optimizer.lr={rate:g}", f"seed={seed}")
        for name, overrides in arms.items()
        for rate in rates[name]
        for seed in range(seeds)
    }
    return trainings.train_all(place, cells, keep)


def _found(
    place: str, results: Mapping[str, Mapping[str, Any]], rates: Mapping[str, Sequence[float]], seeds: int
) -> dict[str, Tuned]:
    def scores(name: str, rate: float, metric: str) -> list[float]:
        return [score(results[_cell(name, rate, seed)], metric) for seed in range(seeds)]

    found = {}
    for name, tried in rates.items():
        validation = {rate: scores(name, rate, "val/accuracy") for rate in tried}
        named = [_cell(name, best(validation), seed) for seed in range(seeds)]
        folders = [trainings.STUDIES / place / cell for cell in named]
        diverged = all(results[cell]["status"] == "diverged" for cell in named)
        found[name] = Tuned(validation, scores(name, best(validation), "test/accuracy"), folders, diverged)
    return found


def score(result: Mapping[str, Any], metric: str) -> float:
    """The accuracy `metric` of a run; CHANCE if the run diverged, whatever it had reached before."""
    return CHANCE if result["status"] == "diverged" else float(result["metrics"][metric])


def _cell(name: str, rate: float, seed: int) -> str:
    return f"{name}_{rate:g}_{seed}"
