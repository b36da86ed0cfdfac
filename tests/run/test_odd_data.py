"""Data with an absurd number: named before the first step, where it is."""

from pathlib import Path

import yaml

from conftest import Command

TABLE = """
import torch
from gradpath.data.memory import MemoryDataModule, split_off

def table(batch_size, value, seed=0):
    x = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    y = x.sum(1, keepdim=True)
    x[50, 1] = value
    return MemoryDataModule(*split_off(x, y, (0.7, 0.15, 0.15)), "regression", 1, batch_size, seed=seed)
"""


def test_an_absurd_number_is_named_before_training(command: Command, project: Path, tmp_path: Path) -> None:
    (project / "oddlab.py").write_text(TABLE)
    (tmp_path / "options/data").mkdir(parents=True)
    option = {"_target_": "oddlab.table", "batch_size": 32, "value": 1.0, "seed": "${seed}"}
    (tmp_path / "options/data/odd.yaml").write_text(yaml.safe_dump(option))
    typed = ("train.py", "--config-dir", str(tmp_path / "options"), "data=odd", "loss=mse", "model.hidden=[8,8]")
    short = ("trainer.max_epochs=1", "trainer.accelerator=cpu")
    found = {}
    for value in (1.0, 4e11):
        done = command(
            *typed, *short, f"data.value={value}", f"hydra.run.dir={tmp_path / f'run_{value}'}",
            GRADPATH_PACKAGES="oddlab",
        )  # fmt: skip
        assert done.returncode in (0, 1), done.stderr
        found[value] = [line for line in done.stdout.splitlines() if "warning" in line]
    assert found[1.0] == []
    (said,) = found[4e11]
    assert said.startswith("warning: the training inputs have 4e+11 in row 50, column 1 (from 0)")
