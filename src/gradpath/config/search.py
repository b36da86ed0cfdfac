"""A search as it was typed: what it chooses from, what it looks at and how it proposes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.config_loader import ConfigLoader

from gradpath.config.checks import check_sweeper
from gradpath.config.grammar import line, parse
from gradpath.config.overrides import Composition, check_job, mapping
from gradpath.config.space import Space, space
from gradpath.config.typed import Typed
from gradpath.errors import ConfigError


@dataclass(frozen=True)
class Search:
    """What proposes the jobs of a sweep.

    keys: those of conf/hydra/sweeper/optuna.yaml.
    objectives: numbers of result.json.
    directions: minimize or maximize, for each objective.
    typed: by which a search is recognised when it goes on.
    """

    space: Space
    keys: Mapping[str, Any]
    objectives: Sequence[str]
    directions: Sequence[str]
    typed: Sequence[str]
    loader: ConfigLoader

    def composed(self, overrides: Sequence[str]) -> Composition:
        """The configuration of one job. Raises ConfigError if it is wrong."""
        return check_job(self.loader, parse(overrides, self.loader))


def search(typed: Typed, loader: ConfigLoader) -> Search:
    """Checks all but what the keys' values are in a job.

    Raises:
        ConfigError: for the first mistake.
    """
    keys = mapping(typed.hydra.sweeper)
    check_sweeper(keys)
    objectives = _listed(typed.settings["objective"])
    directions = _directions(keys["direction"], objectives)
    for setting, given in (("sweep.zip", typed.settings["zip"]), ("sweep.join=true", typed.settings["join"])):
        if given:
            raise ConfigError(
                f"{setting}: only for a grid; a search has one process that proposes, and each key its own values."
            )
    if keys["prune"]:
        _check_pruning(objectives, str(typed.hydra.launcher.get("_target_")))
    found = space(typed.overrides, loader)
    last = {override.key_or_group: line(override) for override in typed.overrides}
    told = [f"sweep.objective={','.join(objectives)}", f"hydra.sweeper.direction={','.join(directions)}"]
    return Search(found, keys, objectives, directions, [*last.values(), *told], loader)


def _directions(typed: str | list[str], objectives: Sequence[str]) -> list[str]:
    shown = f"hydra.sweeper.direction={str(typed).replace(' ', '')}".replace("'", "")
    directions = _listed(typed)
    if typed == "auto":
        directions = ["auto"] * len(objectives)
    if len(directions) != len(objectives):
        raise ConfigError(f"{shown}: write one for each sweep.objective; there are {len(objectives)}.")
    for k, objective in enumerate(objectives):
        if directions[k] == "auto":
            known = {"accuracy": "maximize", "loss": "minimize", "mae": "minimize"}
            if (name := objective.rpartition("/")[2]) not in known:
                raise ConfigError(f"{shown}: write minimize or maximize for sweep.objective={objective}.")
            directions[k] = known[name]
    return directions


def _check_pruning(objectives: Sequence[str], launcher: str) -> None:
    """Raises ConfigError unless the objective is known while a job runs, and a job can be stopped."""
    prune = "hydra.sweeper.prune=true"
    if len(objectives) > 1:
        raise ConfigError(f"{prune}: only with one sweep.objective.")
    if not objectives[0].startswith("metrics.val/"):
        raise ConfigError(f"{prune}: {objectives[0]} is known at a job's end only; use sweep.objective=metrics.val/loss.")
    if "BasicLauncher" in launcher:
        raise ConfigError(f"{prune}: hydra/launcher=basic cannot stop a job; use hydra/launcher=local.")


def _listed(value: str | list[str]) -> list[str]:
    """A list of one or several. Raises ConfigError if it is empty, or names something twice."""
    found = [value] if isinstance(value, str) else [*value]
    if not found or not all(found):
        raise ConfigError("sweep.objective, hydra.sweeper.direction: an empty list.")
    return found
