"""One job of a command line, and all jobs of a sweep."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradpath.config.grid import Grid
from gradpath.config.grid_composition import GridComposition
from gradpath.config.run_names import job_name
from gradpath.config.search import Search


@dataclass(frozen=True)
class Job:
    """What a recipe is given.

    config: the whole configuration, resolved, as plain dicts and lists.
    choices: the option of every group.
    folder: everything is written here.
    overrides: what was typed.
    number: the job's place in a sweep, from 0; None for a single run.
    swept: the longest `key=value` of each key that the sweep varies.
    """

    config: Mapping[str, Any]
    choices: Mapping[str, str]
    folder: Path
    overrides: list[str]
    number: int | None = None
    swept: Sequence[str] = ()


@dataclass(frozen=True)
class Sweep:
    """What a sweep is given: a grid of jobs, each checked; or a search.

    composition: the configuration of each job.
    settings: the keys of `sweep`.
    launcher: the keys of Hydra's launcher.
    folder: `hydra.sweep.dir`.
    named: whether the user has named it.
    variables: environment variables that each job sets: `hydra.job.env_set`.
    search: what proposes the jobs, one by one; None for a grid. The grid is then what was checked before.
    """

    grid: Grid
    composition: GridComposition
    settings: Mapping[str, Any]
    launcher: Mapping[str, Any]
    folder: Path
    named: bool
    variables: Mapping[str, str]
    search: Search | None = None

    @property
    def common_data(self) -> Mapping[str, Any] | None:
        """The configuration of the data that are read once for all jobs; None: each job reads its own."""
        found: Mapping[str, Any] | None = self.composition.first.config["data"] if self.settings["common_data"] else None
        return found

    def job(self, number: int) -> Job:
        """The job with this number, from 0."""
        place = self.grid.place(number)
        config, choices = self.composition(place)
        swept = [max((value[key] for value in axis.values), key=len) for axis in self.grid.axes for key in axis.keys]
        name = job_name(number, len(str(len(self.grid) - 1)), self.grid.varied(place))
        return Job(config, choices, self.folder / name, self.grid.overrides(place), number, swept)

    def proposed(self, number: int, chosen: Mapping[str, Any]) -> Job:
        """The job of a search with these values of the keys that it varies.

        Raises:
            ConfigError: the values do not fit together.
        """
        assert self.search is not None
        overrides = self.search.space.overrides(chosen)
        found = self.search.composed(overrides)
        name = job_name(number, len(str(self.search.keys["n_trials"] - 1)), self.search.space.named(chosen))
        return Job(found.config, found.choices, self.folder / name, overrides, number)

    def jobs(self) -> Iterator[Job]:
        """All jobs in their order."""
        return map(self.job, range(len(self.grid)))
