"""Runs as function calls. Each has a folder of its own, and no run is trained twice."""

import contextlib
import io
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gradpath.config.checks import PROJECT
from gradpath.config.composition import compose
from gradpath.config.resume import read_config
from gradpath.errors import ConfigError
from gradpath.files import RESULT, write_text
from gradpath.locks import hold
from gradpath.run.checkpoint import LAST
from gradpath.run.saved import load_curves
from gradpath.run.train import run
from gradpath.saved_json import read_json
from gradpath.studies.parallel import in_parallel
from gradpath.sweep.code import made_by

# Every study has a folder here.
STUDIES = PROJECT / "logs/studies"
# This file lies beside each run's result. It is written last, so a run that has it is complete.
MADE_BY = "made_by"
# One epoch of 214 steps on MNIST, with no more than is needed for the accuracy.
ONE_EPOCH = ("schedule=constant", "data.batch_size=256", "trainer.max_epochs=1", "probe=none", "trainer=cpu")
# For runs whose loss curve is drawn: every step is logged.
CURVES = ("schedule=constant", "probe=none", "trainer=cpu", "trainer.log_every_n_steps=1")
Curve = npt.NDArray[np.float64]


def trained(folder: Path, overrides: Sequence[str], keep: bool = False) -> dict[str, Any]:
    """Trains the run that `overrides` describe, unless it is there already. Returns the content of its `result.json`.

    Prints nothing. Checkpoints are deleted, because a study needs only numbers.

    Args:
        keep: whether to keep the checkpoints all the same.

    Raises:
        ConfigError, RunFailed: for the same reasons as any run.
    """
    known = _made(folder, overrides, keep)
    if known:
        return known
    config, choices = compose(*overrides)
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.redirect_stdout(io.StringIO()):
        run(config, choices, folder, list(overrides))
    if not keep:
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    write_text(folder / MADE_BY, made_by())
    return read_json(folder / RESULT)


def train_all(study: str, cells: Mapping[str, Sequence[str]], keep: bool = False) -> dict[str, dict[str, Any]]:
    """Calls `trained` for every cell, as many at a time as there are cores. A study that was stopped goes on where it was.

    Args:
        study: the name of its folder.
        cells: name of a run's folder -> overrides.
        keep: as for `trained`.

    Raises:
        ConfigError, RunFailed: one of the runs raised it; the others are then ended. ConfigError also means that another
            command is at this study.
    """
    jobs = {name: (STUDIES / study / name, tuple(overrides), keep) for name, overrides in cells.items()}
    with hold(STUDIES / study):
        found = {name: _made(*job) for name, job in jobs.items()}
        results = {name: known for name, known in found.items() if known}
        missing = {name: job for name, job in jobs.items() if name not in results}
        if missing:
            results |= in_parallel(trained, missing, known=len(results))
    return {name: results[name] for name in cells}


def losses(folder: Path) -> Curve:
    """The training loss at each step of a run with CURVES, (steps,), up to the first that was not finite."""
    found = np.array([row["train/loss"] for row in load_curves(folder) if "train/loss" in row], dtype=np.float64)
    finite = np.isfinite(found)
    return found if finite.all() else found[: int(finite.argmin())]


def _made(folder: Path, overrides: Sequence[str], keep: bool) -> dict[str, Any] | None:
    """The result of this very run, made by this very code; None if it is missing or incomplete.

    With `keep`, the checkpoint has to be there, too.
    """
    if keep and not (folder / LAST).is_file():
        return None
    try:
        # The digest is compared first, because composing takes as long as a short training.
        same = (folder / MADE_BY).read_text() == made_by() and read_config(folder) == compose(*overrides)[0]
        return read_json(folder / RESULT) if same else None
    except (ConfigError, OSError, ValueError):
        # The run was stopped before its end, or its files are damaged. It is trained again.
        return None


# The digest is taken now, when the code is loaded: this process trains by that code, even if files are edited later.
made_by()
