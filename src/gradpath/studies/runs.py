"""Runs as function calls: many of them, each in a folder of its own, none made twice."""

import contextlib
import io
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gradpath.checkpoint import LAST
from gradpath.cli import compose
from gradpath.config import PROJECT
from gradpath.experiment import run
from gradpath.report import metrics
from gradpath.report.result import write_result
from gradpath.runs import RESULT
from gradpath.studies.parallel import in_parallel

# Every study has a folder here.
STUDIES = PROJECT / "logs/studies"
# One epoch of 214 steps on MNIST, no more than is needed for its accuracy.
ONE_EPOCH = ("schedule=constant", "data.batch_size=256", "trainer.max_epochs=1", "probe=none", "trainer=cpu")
# What a run logs from which its loss curve is drawn: every step.
CURVES = ("schedule=constant", "probe=none", "trainer=cpu", "trainer.log_every_n_steps=1")
Curve = npt.NDArray[np.float64]


def trained(folder: Path, overrides: Sequence[str], keep: bool = False) -> dict[str, Any]:
    """`result.json` of the run that `overrides` describe, read where it has been made before.

    Silent, and without checkpoints: a study keeps numbers.

    Args:
        keep: leave the weights that it ended with, too.

    Raises:
        ConfigError, RunFailed: as a run.
    """
    known = _made(folder, overrides, keep)
    if known:
        return known
    shutil.rmtree(folder, ignore_errors=True)
    config, choices = compose(*overrides)
    with contextlib.redirect_stdout(io.StringIO()):
        result = run(config, choices, folder, list(overrides))
    if not keep:
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    write_result(folder, result | {"overrides": list(overrides)})
    return _made(folder, overrides) or {}


def train_all(study: str, cells: Mapping[str, Sequence[str]], keep: bool = False) -> dict[str, dict[str, Any]]:
    """`trained` for every named cell, as many at a time as there are cores; a study that was stopped goes on where it was.

    Args:
        study: its folder's name. cells: name of a folder -> overrides. keep: as `trained`.

    Raises:
        ConfigError, RunFailed: as the first run that does; the others end with it.
    """
    jobs = {name: (STUDIES / study / name, tuple(overrides), keep) for name, overrides in cells.items()}
    results = {name: known for name, job in jobs.items() if (known := _made(*job))}
    missing = {name: job for name, job in jobs.items() if name not in results}
    if missing:
        results |= in_parallel(trained, missing, known=len(results))
    return {name: results[name] for name in cells}


def losses(folder: Path) -> Curve:
    """The logged losses of a run with CURVES, one per step; one that was not finite is not among them."""
    found = [row["train/loss"] for row in metrics.load(folder) if "train/loss" in row]
    return np.array(found or [float("nan")], dtype=np.float64)


def _made(folder: Path, overrides: Sequence[str], keep: bool = False) -> dict[str, Any] | None:
    """The result of this very run, if it is there (with its weights if they are to be kept) and did not fail."""
    if not (folder / RESULT).is_file() or (keep and not (folder / LAST).is_file()):
        return None
    result: dict[str, Any] = json.loads((folder / RESULT).read_text())
    return result if result["status"] != "failed" and result.get("overrides") == list(overrides) else None
