"""The probe as a callback of PyTorch Lightning, for any LightningModule."""

import itertools
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from gradpath.flow.record import FILE
from gradpath.verdict.ending import end
from gradpath.verdict.probing import JudgingProbe, check_options


class GradientFlow(pl.Callback):
    """Measures the training of any LightningModule, with automatic or manual optimisation and any logger.

    After `fit`, `verdict` is the verdict as `JudgingProbe.verdict` has it, and the record lies in `folder` as `flow.npz`,
    which TensorBoard's Gradient Flow tab shows.

    Args:
        folder: where the record is kept (None: `gradient_flow` in the trainer's log folder). A second `fit` has a folder
            of its own beside it: `gradient_flow_2`.
        options: those of `probe`, such as `every=10`, `batch_dim=1`, `ignore=["saturation"]`.

    Raises:
        TypeError: there is no such option.
        ValueError: when `fit` begins: as for `probe`, or `folder` holds the record of another callback.
    """

    def __init__(self, folder: str | Path | None = None, **options: Any) -> None:
        check_options({*options} - {"ignore"})
        self.folder, self.options = folder, options
        self.probe: JudgingProbe | None = None
        self.verdict: dict[str, Any] | None = None
        self.kept: set[Path] = set()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Opens the probe, once the trainer has placed the model and prepared its precision."""
        place = Path(self.folder or Path(trainer.log_dir or trainer.default_root_dir) / "gradient_flow")
        if self.folder is None or place in self.kept:
            place = _free(place)
        if (place / FILE).exists():
            raise ValueError(f"GradientFlow: folder={place}: holds a record already; choose another")
        options = {
            "scaler": getattr(trainer.precision_plugin, "scaler", None),
            "distributed": trainer.world_size > 1,
            "clipping": trainer.gradient_clip_val is not None,
            **self.options,
        }
        self.place = place
        self.probe = JudgingProbe(pl_module, **options)
        self.probe.open()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keeps the record and judges it."""
        self._close(trainer, failed=False)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Keeps what was measured before a training was ended."""
        self._close(trainer, failed=True)

    def _close(self, trainer: pl.Trainer, failed: bool) -> None:
        if self.probe is not None:
            measuring, self.probe = self.probe, None
            self.verdict = end(measuring, self.place if trainer.is_global_zero else None, failed)
            self.kept.add(self.place)


def _free(place: Path) -> Path:
    """The folder, or one beside it with a number, that holds no record."""
    numbered = (place.with_name(f"{place.name}_{number}") for number in itertools.count(2))
    return place if not (place / FILE).exists() else next(one for one in numbered if not (one / FILE).exists())
