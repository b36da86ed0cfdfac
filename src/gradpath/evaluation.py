"""The test metrics of a saved run, computed again."""

import tempfile
from pathlib import Path

import lightning.pytorch as pl
from omegaconf import OmegaConf

from gradpath.build import build_run
from gradpath.checkpoint import LAST, load_checkpoint, network_state
from gradpath.experiment import seed_everything
from gradpath.report.console import quiet
from gradpath.runs import CONFIG


def evaluate(folder: Path) -> dict[str, float]:
    """test/loss and test/accuracy (or test/mae) of the weights that the run ended with, on one device of its kind.

    Raises:
        ConfigError: no readable checkpoint, or data that are not there.
    """
    quiet()
    config = OmegaConf.to_container(OmegaConf.load(folder / CONFIG), resolve=True)
    assert isinstance(config, dict)
    seed_everything(config["seed"])
    data, network, _, module = build_run({str(key): value for key, value in config.items()}, {})
    network.load_state_dict(network_state(load_checkpoint(folder / LAST, network)))
    kept = {key: config["trainer"][key] for key in ("accelerator", "precision", "deterministic", "limit_test_batches")}
    with tempfile.TemporaryDirectory() as scratch:
        trainer = pl.Trainer(
            **kept,
            devices=1,
            default_root_dir=scratch,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        (metrics,) = trainer.test(module, data, verbose=False)
    return dict(metrics)
