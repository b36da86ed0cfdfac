"""Restores the network that a saved run ended with, and computes its test metrics again."""

import tempfile
from pathlib import Path

from gradpath.config.resume import read_config
from gradpath.data.memory import MemoryDataModule
from gradpath.model.module import GradpathModule
from gradpath.model.network import MLP
from gradpath.model.objective import Objective
from gradpath.run.build import build_run, new_trainer
from gradpath.run.checkpoint import LAST, load_checkpoint, network_state
from gradpath.run.seeding import seed_everything
from gradpath.run.terminal import quiet


def restored(folder: Path) -> tuple[MemoryDataModule, MLP, Objective, GradpathModule]:
    """A run's data, and its network with the weights that the run ended with.

    Raises:
        ConfigError: the checkpoint cannot be read, or the data are missing.
    """
    config = read_config(folder)
    seed_everything(config["seed"])
    data, network, objective, module = build_run(config, {})
    network.load_state_dict(network_state(load_checkpoint(folder / LAST, network)))
    return data, network, objective, module


def evaluate(folder: Path) -> dict[str, float]:
    """Computes test/loss and test/accuracy (or test/mae) of the weights that the run ended with.

    The test runs on one device, of the kind that the run used.

    Raises:
        ConfigError: as `restored`.
    """
    quiet()
    data, _, _, module = restored(folder)
    config = read_config(folder)
    kept = {key: config["trainer"][key] for key in ("accelerator", "precision", "deterministic", "limit_test_batches")}
    with tempfile.TemporaryDirectory() as scratch:
        trainer = new_trainer(**kept, devices=1, default_root_dir=scratch, logger=False, enable_checkpointing=False)
        (metrics,) = trainer.test(module, data, verbose=False)
    return dict(metrics)
