"""Arms of a comparison, each at a learning rate of its own: the rate is a nuisance where something else is compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from gradpath.studies import runs
from gradpath.studies.chapter.study import percent, seeded

# What a run that met NaN counts as: it guesses one digit of ten.
CHANCE = 0.1
# Where the best rate is the lowest or the highest that was tried, the next of these is tried, so often.
LADDER = tuple(float(f"{digit}e{power}") for power in range(-8, 3) for digit in (1, 3))
MORE = 3


@dataclass(frozen=True)
class Tuned:
    """One arm. validation: rate -> accuracy, a number per seed. tests: test accuracy at the best rate, likewise. folders: of
    these runs. diverged: all of them met NaN."""

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
        """Test accuracy and rate, for a table."""
        return ("diverged", "any") if self.diverged else (percent(self.tests), f"{self.rate:.1g}")


def tuned(
    place: str,
    arms: Mapping[str, Sequence[str]],
    rates: Mapping[str, Sequence[float]],
    seeds: int,
    keep: bool = False,
    more: int = MORE,
) -> dict[str, Tuned]:
    """Trains every arm at each of its rates with each seed, and beyond them where the best lies at their edge.

    Args:
        place: the study's folder. arms: name -> overrides. rates: of each arm, to begin with. keep: leave the weights in
            the folders. more: how often an arm's rates are added to.
    """
    tried = {name: sorted(rates[name]) for name in arms}
    found = _trained(place, arms, tried, seeds, keep)
    for _ in range(more):
        edges = {name: beyond for name, one in found.items() if (beyond := _beyond(one.rate, tried[name]))}
        if not edges:
            break
        tried = {name: sorted([*known, *([edges[name]] if name in edges else [])]) for name, known in tried.items()}
        found = _trained(place, arms, tried, seeds, keep)
    return found


def best(validation: Mapping[float, list[float]]) -> float:
    """The rate with the highest mean."""
    return max(validation, key=lambda rate: fmean(validation[rate]))


def how(seeds: int) -> str:
    """For a page."""
    return (
        f"each at the learning rate that validates best (of 1 and 3 times powers of ten, on until the best is no edge), "
        f"{seeded(seeds)}; a run that met NaN counts as 10 %"
    )


def _trained(
    place: str, arms: Mapping[str, Sequence[str]], rates: Mapping[str, Sequence[float]], seeds: int, keep: bool
) -> dict[str, Tuned]:
    cells = {
        (name, rate, seed): (*overrides, f"optimizer.lr={rate:g}", f"seed={seed}")
        for name, overrides in arms.items()
        for rate in rates[name]
        for seed in range(seeds)
    }
    results = runs.train_all(place, {_cell(*key): overrides for key, overrides in cells.items()}, keep)

    def scores(name: str, rate: float, metric: str) -> list[float]:
        return [score(results[_cell(name, rate, seed)], metric) for seed in range(seeds)]

    found = {}
    for name in arms:
        validation = {rate: scores(name, rate, "val/accuracy") for rate in rates[name]}
        named = [_cell(name, best(validation), seed) for seed in range(seeds)]
        folders = [runs.STUDIES / place / cell for cell in named]
        diverged = all(results[cell]["status"] == "diverged" for cell in named)
        found[name] = Tuned(validation, scores(name, best(validation), "test/accuracy"), folders, diverged)
    return found


def score(result: Mapping[str, Any], metric: str) -> float:
    """A metric of a run; CHANCE of one that diverged, whatever it had reached before."""
    return CHANCE if result["status"] == "diverged" else float(result["metrics"][metric])


def _beyond(rate: float, tried: Sequence[float]) -> float | None:
    """The rate to try next where `rate` is the lowest or the highest of `tried`."""
    if len(tried) > 1 and rate not in (tried[0], tried[-1]):
        return None
    if rate == tried[-1]:
        return next((known for known in LADDER if known > 1.5 * rate), None)
    return next((known for known in reversed(LADDER) if known < rate / 1.5), None)


def _cell(name: str, rate: float, seed: int) -> str:
    return f"{name}_{rate:g}_{seed}"
