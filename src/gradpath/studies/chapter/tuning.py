"""Arms of a comparison, each at a learning rate of its own: the rate is a nuisance where something else is compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from gradpath.studies import runs
from gradpath.studies.chapter.study import seeded

# What a run that met NaN counts as: it guesses one digit of ten.
CHANCE = 0.1


@dataclass(frozen=True)
class Tuned:
    """One arm. validation: rate -> accuracy, mean over seeds. tests: test accuracy at the best rate, a number per seed.
    folders: of these runs."""

    validation: Mapping[float, float]
    tests: list[float]
    folders: list[Path]

    @property
    def rate(self) -> float:
        """The one that validates best."""
        return max(self.validation, key=lambda rate: self.validation[rate])

    @property
    def mean(self) -> float:
        """Test accuracy at this rate."""
        return fmean(self.tests)


def tuned(
    place: str, arms: Mapping[str, Sequence[str]], rates: Mapping[str, Sequence[float]], seeds: int, keep: bool = False
) -> dict[str, Tuned]:
    """Trains every arm at each of its rates with each seed.

    Args:
        place: the study's folder. arms: name -> overrides. rates: of each arm. keep: leave the weights in the folders.
    """
    cells = {
        (name, rate, seed): (*overrides, f"optimizer.lr={rate:g}", f"seed={seed}")
        for name, overrides in arms.items()
        for rate in rates[name]
        for seed in range(seeds)
    }
    results = runs.train_all(place, {_cell(*key): overrides for key, overrides in cells.items()}, keep)

    def scores(name: str, rate: float, metric: str) -> list[float]:
        return [results[_cell(name, rate, seed)]["metrics"].get(metric, CHANCE) for seed in range(seeds)]

    found = {}
    for name in arms:
        validation = {rate: fmean(scores(name, rate, "val/accuracy")) for rate in rates[name]}
        best = max(validation, key=lambda rate: validation[rate])
        folders = [runs.STUDIES / place / _cell(name, best, seed) for seed in range(seeds)]
        found[name] = Tuned(validation, scores(name, best, "test/accuracy"), folders)
    return found


def how(rates: int, seeds: int) -> str:
    """For a page."""
    return f"each at the best of {rates} learning rates by validation, {seeded(seeds)}; a run that met NaN counts as 10 %"


def _cell(name: str, rate: float, seed: int) -> str:
    return f"{name}_{rate:g}_{seed}"
