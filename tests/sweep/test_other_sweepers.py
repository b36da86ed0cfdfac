"""A sweeper of somebody else's on our launchers: what it proposes runs in a sweep of ours that goes on."""

import os
from pathlib import Path

import pytest

from conftest import Command
from sweeping import results

SWEEPER = '''
from dataclasses import dataclass

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper


class Doubling(Sweeper):
    """Tries two rates, and twice the better one."""

    def __init__(self, first):
        self.first = first

    def setup(self, *, hydra_context, task_function, config):
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments):
        rates = [self.first, 10 * self.first]
        losses = self.ask(arguments, rates, 0)
        best = rates[losses.index(min(losses))]
        print("told", *losses, *self.ask(arguments, [2 * best], 2))

    def ask(self, arguments, rates, number):
        jobs = [[*arguments, f"optimizer.lr={rate}"] for rate in rates]
        return [job.return_value for job in self.launcher.launch(jobs, initial_job_idx=number)]


@dataclass
class Keys:
    _target_: str = "hydra_plugins.doubling.Doubling"
    first: float = 0.001


ConfigStore.instance().store(group="hydra/sweeper", name="doubling", node=Keys)
'''


@pytest.mark.parametrize("objective", ["metrics.val/loss", "metrics.test/accuracy"])
def test_it_is_told_what_came_of_its_jobs(objective: str, sweep: Command, project: Path, tmp_path: Path) -> None:
    (tmp_path / "hydra_plugins").mkdir()
    (tmp_path / "hydra_plugins/doubling.py").write_text(SWEEPER)
    path = os.pathsep.join([str(project / "src"), str(tmp_path)])
    typed = ("hydra/sweeper=doubling", "hydra.launcher.jobs=2", "seed=3", f"sweep.objective={objective}")
    done = sweep(*typed, fresh=True, PYTHONPATH=path)
    assert done.returncode == 0, done.stdout + done.stderr
    found = results(tmp_path / "sweep")
    assert [name.partition("-")[0] for name in found] == ["0", "1", "2"]
    values = [result["metrics"][objective.removeprefix("metrics.")] for result in found.values()]
    told = next(line for line in done.stdout.splitlines() if line.startswith("told"))
    assert [float(text) for text in told.split()[1:]] == pytest.approx(values, rel=1e-12)
    # What it proposes again is not run again.
    again = sweep(*typed, fresh=True, PYTHONPATH=path)
    assert again.returncode == 0
    assert told in again.stdout
    assert "0 to run" in again.stdout
