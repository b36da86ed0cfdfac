"""`metrics.csv`: the scalars of a run, one row per logged moment."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.loggers.logger import Logger

from gradpath.files import CURVES, write_text
from gradpath.run.saved import load_curves


class MetricsFile(Logger):
    """Appends a row for each call of `log_metrics`. A cell is empty if its value was not logged at that moment.

    Args:
        folder: the run's folder.
        columns: the metrics' names; other metrics go to TensorBoard only.
        resume_step: `start` drops an interrupted run's rows past this step, and its test rows. None for a fresh run.
    """

    def __init__(self, folder: Path, columns: list[str], resume_step: int | None = None) -> None:
        super().__init__()
        self.path, self.columns = folder / CURVES, ["step", "epoch", *columns]
        self.resume_step = resume_step

    @property
    def name(self) -> str:
        return ""

    @property
    def version(self) -> str:
        return ""

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Does nothing: config.yaml has the hyperparameters."""

    @rank_zero_only
    def start(self) -> None:
        """Writes the header, and the rows of an interrupted run that are kept."""
        before = [] if self.resume_step is None else load_curves(self.path.parent)
        # If a finished run is continued, it will be tested again.
        kept = [row for row in before if row["step"] <= (self.resume_step or 0) and "test/loss" not in row]
        write_text(self.path, "".join([",".join(self.columns) + "\n", *(_line(row, self.columns) for row in kept)]))

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        # Lightning counts epochs from 0, but logs tests with the number of those that are done: here, all have that number.
        tested = any(name.startswith("test/") for name in metrics)
        row = {"step": step, **metrics, "epoch": metrics.get("epoch", 0) + (0 if tested else 1)}
        if not any(column in metrics for column in self.columns[2:]):
            return
        with self.path.open("a", newline="") as file:
            file.write(_line(row, self.columns))


def collect(folder: Path) -> dict[str, float | int]:
    """The metrics of `result.json`: those of the weights that the run ended with, and its best and last epoch.

    Epochs count from 1. The best epoch has the highest val/accuracy, or the lowest val/loss if there is no accuracy.
    """
    rows = load_curves(folder)
    found: dict[str, float | int] = {}
    for stage in ("train/", "val/", "test/"):
        for row in rows:
            names = [name for name in row if name.startswith(stage) and (stage != "train/" or name.endswith("_epoch"))]
            found |= {name.removesuffix("_epoch"): row[name] for name in names}
    validated = [row for row in rows if "val/loss" in row]
    if validated:
        best = max(validated, key=lambda row: row.get("val/accuracy", -row["val/loss"]))
        found |= {"best_epoch": int(best["epoch"]), "last_epoch": int(validated[-1]["epoch"])}
    return found


def _line(row: Mapping[str, Any], columns: list[str]) -> str:
    return ",".join(_cell(row.get(column)) for column in columns) + "\n"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return str(int(value)) if float(value).is_integer() and abs(float(value)) < 1e15 else repr(float(value))
