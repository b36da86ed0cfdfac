"""The launchers of conf/hydra/launcher, for the sweepers of others: Hydra finds plugins in this namespace only."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from gradpath.config.grid import listed
from gradpath.config.grid_composition import GridComposition
from gradpath.config.job import Sweep
from gradpath.config.launch import variables
from gradpath.config.overrides import mapping


class Local(Launcher):
    """Runs what a sweeper proposes as a sweep of ours that goes on: in processes of their own, nothing twice.

    A sweep that was typed as a grid does not come through here.

    Args:
        keys: those of conf/hydra/launcher.
    """

    def __init__(self, **keys: Any) -> None:
        self.keys = {"_target_": f"{__name__}.{type(self).__name__}", **keys}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.loader, self.config = hydra_context.config_loader, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Runs the jobs. Each returns its `sweep.objective`; NaN if it failed or diverged."""
        from gradpath.sweep.conduct import run_batch

        jobs = listed(job_overrides)
        folder, given = Path(self.config.hydra.sweep.dir).absolute(), variables(self.config.hydra)
        settings = mapping(self.config.sweep)
        sweep = Sweep(jobs, GridComposition(jobs, self.loader), settings, self.keys, folder, True, given)
        found = []
        for typed, value in zip(job_overrides, run_batch(sweep), strict=True):
            found.append(JobReturn(overrides=[*typed], status=JobStatus.COMPLETED))
            found[-1].return_value = value
        return found


class Slurm(Local):
    """The same, on a Slurm cluster."""


class Ray(Local):
    """The same, on a Ray cluster."""
