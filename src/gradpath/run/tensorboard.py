"""Writes for TensorBoard: one event file per run, a chart of all layers, a row in the HParams tab."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.compat.proto.summary_pb2 import Summary
from torch import Tensor
from torch.utils.tensorboard.summary import hparams

from gradpath.flow.record import Record
from gradpath.run import terminal
from gradpath.run.heatmap import heatmap

# One chart per family of tags: its title, and the tags that it draws together.
LAYOUT = {
    "Gradient flow": {
        "log10 |delta| of every layer": ["Multiline", ["delta_log10/.*"]],
        "log10 |dW| of every layer": ["Multiline", ["weight_grad_norm_log10/.*"]],
        "log10 |update| / |W| of every layer": ["Multiline", ["update_ratio_log10/.*"]],
        "|W| of every layer": ["Multiline", ["weight_norm/.*"]],
    },
    "Learning": {
        "loss": ["Multiline", ["train/loss_epoch", "val/loss"]],
        "accuracy": ["Multiline", ["train/accuracy_epoch", "val/accuracy"]],
    },
}

# torch.utils.tensorboard has no bins beyond 1e20, and fails if all values lie there.
LAST_BIN = 9e19
# |delta| at the first hidden layer over that at the last, before training.
RATIO = "gradient/ratio"


class RunLogger(TensorBoardLogger):
    """Lightning's TensorBoard logger, changed in three ways.

    The event file lies in the run's folder itself, a record holds several values, and there is no hparams.yaml.

    Args:
        folder: the run's folder.
        metrics: the HParams tab shows these metrics beside the choices.
        verdict: on the gradient at the start; the tab shows its class and its ratio.
        varied: what differs between the jobs of a sweep. The tab then shows no other choice.
        resume_step: TensorBoard hides what an interrupted run wrote past this step. None for a fresh run.
    """

    def __init__(
        self,
        folder: Path,
        metrics: list[str],
        verdict: Mapping[str, Any] | None = None,
        varied: Mapping[str, str] | None = None,
        resume_step: int | None = None,
    ) -> None:
        purge = None if resume_step is None else resume_step + 1
        super().__init__(save_dir=folder, name="", version="", default_hp_metric=False, purge_step=purge)
        self.metrics: list[str] | None = metrics
        self.verdict, self.varied = verdict or {}, varied

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Writes the HParams row and the chart layout once, although Lightning calls this at the start of every stage."""
        if self.metrics is None:
            return
        self.experiment.add_custom_scalars(LAYOUT)
        shown = dict(params) if self.varied is None else {key: _as_number(text) for key, text in self.varied.items()}
        ratio = self.verdict.get("ratio")
        if self.verdict:
            # One column for both: a window of 1280 pixels has room for five, of which the metrics come last.
            shown["gradient"] = (
                f"{self.verdict['class']} {ratio:.2g}" if isinstance(ratio, float) else str(self.verdict["class"])
            )
        if isinstance(ratio, float):
            self.metrics.insert(1, RATIO)
            self.log_metrics({RATIO: ratio}, 0)
        # Only the metrics' names count here; their values are the scalars logged under the same tags.
        for summary in hparams(shown, dict.fromkeys(self.metrics, 0.0)):  # type: ignore[no-untyped-call]
            self.experiment._get_file_writer().add_summary(summary)
        self.metrics = None

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        # One record for all values takes 11 us for ten of them; add_scalar takes 60 us for each. Lightning adds the epoch,
        # which would be TensorBoard's first chart.
        values = [Summary.Value(tag=tag, simple_value=float(value)) for tag, value in metrics.items() if tag != "epoch"]
        self.experiment._get_file_writer().add_summary(Summary(value=values), step)

    @rank_zero_only
    def log_histogram(self, tag: str, values: Tensor, step: int) -> None:
        """Writes a histogram of finite values, unless some lie beyond TensorBoard's bins. It would leave these out."""
        values = values.detach().float()
        largest = values.abs().max().item()
        if largest < LAST_BIN:
            self.experiment.add_histogram(tag, values, step)
        elif not terminal.gaps:
            terminal.gaps.append(f"no histogram of {tag} from step {step} on, where values reach {largest:.0e}")

    @rank_zero_only
    def log_heatmap(self, record: Record, step: int) -> None:
        """Writes a picture of the record so far. TensorBoard's slider goes through the steps."""
        self.experiment.add_figure("gradient_flow", heatmap(record), step)

    def save(self) -> None:
        """Does nothing: config.yaml already holds what hparams.yaml would."""

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Flushes the file but leaves it open, because the test writes into it too."""
        if self._experiment is not None:
            self._experiment.flush()

    def end_fit(self) -> None:
        """Makes later values add to what training wrote, even if training had its own process and its own file."""
        self._kwargs["purge_step"] = None
        self.metrics = None

    def close(self) -> None:
        if self._experiment is not None:
            self._experiment.close()


def _as_number(text: str) -> str | float:
    """A number as one, so that the HParams tab sorts and scales it."""
    try:
        return float(text)
    except ValueError:
        return text
