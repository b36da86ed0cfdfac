"""Arms of a comparison, each at a learning rate of its own: the rate is a nuisance where something else is compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from gradpath.studies import trainings
from gradpath.studies.chapter.study import percent, seeded

# What a run that met NaN counts as: it guesses one digit of ten.
CHANCE = 0.1
# Those next to the best rate are tried, too, so often.
LADDER = tuple(float(f"{digit}e{power}") for power in range(-8, 3) for digit in (1, 3))
MORE = 3


@dataclass(frozen=True)
class Tuned:
    """One arm. validation: rate -> accuracy, a number per seed. tests: test accuracy at the best rate, likewise. folders: of
    these runs. diverged: all of them met NaN, and so at the best rate did those of all others."""

    validation: Mapping[float, list[float]]
    tests: list[float]
    folders: list[Path]
    diverged: bool

    @property
    def rate(self) -> float:
        """The one that validates best."""
        return best(self.validation)

    @property
    def mean(self) -> float:
        """Test accuracy at this rate."""
        return fmean(self.tests)

    @property
    def shown(self) -> tuple[str, str]:
        """Test accuracy and rate, for a table; an asterisk where the best is the lowest or the highest that was tried."""
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
    """Trains every arm at each of its rates with each seed, and at those next to the best until both have been tried.

    Args:
        place: the study's folder. arms: name -> overrides. rates: of each arm, to begin with. keep: leave the weights in
            the folders. more: how often rates are added at most.
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
    """The rate with the highest mean, of equals the lowest. (Accuracies are float32, whose last digit chooses none.)"""
    return max(validation, key=lambda rate: (round(fmean(validation[rate]), 6), -rate))


def how(seeds: int, quick: bool) -> str:
    """For a page."""
    rates = "of those tried" if quick else "of 1 and 3 times powers of ten, its neighbours tried too"
    return f"each at the learning rate that validates best ({rates}), {seeded(seeds)}; a run that met NaN counts as 10 %"


def untried(rate: float, tried: Sequence[float]) -> list[float]:
    """Those of the rates next to `rate`, 1 and 3 times powers of ten, that are not among `tried`."""
    below = next((known for known in reversed(LADDER) if known < rate / 1.2), None)
    above = next((known for known in LADDER if known > 1.2 * rate), None)
    return [known for known in (below, above) if known is not None and known not in tried]


def _trained(
    place: str, arms: Mapping[str, Sequence[str]], rates: Mapping[str, Sequence[float]], seeds: int, keep: bool
) -> dict[str, dict[str, Any]]:
    """The result of every arm at each of `rates` with every seed, by the cell's name."""
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
    """A metric of a run; CHANCE of one that diverged, whatever it had reached before."""
    return CHANCE if result["status"] == "diverged" else float(result["metrics"][metric])


def _cell(name: str, rate: float, seed: int) -> str:
    return f"{name}_{rate:g}_{seed}"
