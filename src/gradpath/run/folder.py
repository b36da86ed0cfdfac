"""Takes a folder for a run, and writes into it what the run is made of."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from omegaconf import OmegaConf

from gradpath.errors import ConfigError
from gradpath.files import CONFIG, OVERRIDES, RESULT, relative, write_text
from gradpath.run.metrics import MetricsFile


def start_folder(folder: Path, config: Mapping[str, Any], overrides: list[str], trainer: pl.Trainer) -> None:
    """Makes the folder and writes what the run is made of. From then on the run can be resumed."""
    folder.mkdir(parents=True, exist_ok=True)
    if not config["resume"]:
        take(folder)
    (folder / RESULT).unlink(missing_ok=True)
    write_text(folder / CONFIG, OmegaConf.to_yaml(OmegaConf.create(dict(config))))
    kept = [text for text in overrides if not text.startswith(("resume=", "hydra."))]
    write_text(folder / OVERRIDES, OmegaConf.to_yaml(OmegaConf.create(kept)))
    for logger in trainer.loggers:
        if isinstance(logger, MetricsFile):
            logger.start()


def take(folder: Path) -> None:
    """Takes a folder for one run. Raises ConfigError if a run is there, even one that began at this very moment."""
    try:
        (folder / OVERRIDES).touch(exist_ok=False)
    except FileExistsError:
        raise ConfigError(
            f"hydra.run.dir={relative(folder)}: holds a run already; continue it with resume=, or choose another folder."
        ) from None
