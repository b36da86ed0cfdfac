"""The terminal: what was chosen, how it goes, what came out. In a pipe or a file: plain lines."""

import io
import logging
import sys
import threading
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import lightning.pytorch as pl
from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from gradpath.model.module import GradpathModule
from gradpath.model.network import LayerSummary

Rows = Iterable[tuple[str, str]]
# Columns that a table in a pipe may have: more than any needs.
WIDEST = 1000
# What ended threads of TensorBoard that write, until `warn_of_writers` says it.
ended_writers: list[str] = []


def is_terminal() -> bool:
    return sys.stdout.isatty()


def quiet() -> None:
    """Silences what libraries say of a run that is going well; their warnings of real trouble stay."""
    for name in ("lightning", "lightning.pytorch", "lightning.fabric", "pytorch_lightning"):
        logger = logging.getLogger(name)
        # Imported inside Hydra's main, lightning adds a second handler to the one that Hydra sets up.
        logger.handlers.clear()
        logger.setLevel(logging.WARNING)
    # Data in memory need no worker processes; short epochs are ours to choose; samplers are placed by the data module.
    for message in (".*does not have many workers.*", ".*number of training batches.*", ".*use_distributed_sampler.*"):
        warnings.filterwarnings("ignore", message)
    # lightning 2.6 asks torch 2.14's pytree in the old way.
    warnings.filterwarnings("ignore", ".*LeafSpec.*is deprecated.*")
    # trainer=cpu is a choice.
    warnings.filterwarnings("ignore", "GPU available but not used.*")
    threading.excepthook = _thread_ended
    # A resumed run writes into the folder that it continues.
    warnings.filterwarnings("ignore", ".*exists and is not empty.*")


def _thread_ended(arguments: threading.ExceptHookArgs) -> None:
    """A full disk ends TensorBoard's writing thread. Mostly the run meets it too, and ends with one line of its own."""
    if isinstance(arguments.exc_value, OSError):
        ended_writers.append(arguments.exc_value.strerror or str(arguments.exc_value))
    else:
        threading.__excepthook__(arguments)


def warn_of_writers() -> None:
    """Warns, after a run that has come to its end, if TensorBoard's event file has not."""
    for reason in ended_writers:
        warn(f"TensorBoard's event file is incomplete: {reason}")
    ended_writers.clear()


def show(title: str, rows: Rows) -> None:
    """A titled two-column panel, or `name: value` lines."""
    rows = list(rows)
    if not is_terminal():
        print(f"{title}", *(f"  {name}: {value}" for name, value in rows), sep="\n", flush=True)
        return
    table = Table.grid(padding=(0, 2))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, value)
    Console().print(Panel(table, title=f"[bold]{title}", title_align="left", expand=False))


def show_network(layers: list[LayerSummary], total: int) -> None:
    """The network's table: per layer shape, parameters, sigma_w^2, sigma_b^2. The middle of a deep one is left out."""
    header = ("layer", "shape", "parameters", "sigma_w^2", "sigma_b^2")
    cells = [(r.name, r.shape, f"{r.parameters:,}", f"{r.sigma_w2:.4g}", f"{r.sigma_b2:.4g}") for r in layers]
    show_table(header, [*shortened(cells, len(header)), ("total", "", f"{total:,}", "", "")])


def shortened(rows: Sequence[tuple[str, ...]], columns: int) -> list[tuple[str, ...]]:
    """At most eleven rows: a deep network's middle becomes one of dots."""
    return list(rows) if len(rows) <= 12 else [*rows[:5], ("...",) * columns, *rows[-5:]]


def show_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table: the first column to the left, the others to the right. In a pipe as wide as its cells."""
    if is_terminal():
        Console().print(_table(header, rows, "right"))
    else:
        print(*(f"  {line}" for line in table_lines(header, rows, "right")), sep="\n", flush=True)


def table_lines(header: Sequence[str], rows: Sequence[Sequence[str]], others: Literal["left", "right"]) -> list[str]:
    """A table as plain lines, no cell cut. others: how the columns behind the first are justified."""
    console = Console(width=WIDEST, color_system=None, file=io.StringIO())
    with console.capture() as captured:
        console.print(_table(header, rows, others))
    return [line.rstrip() for line in captured.get().splitlines()]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], others: Literal["left", "right"]) -> Table:
    # Narrow enough for nine columns in a terminal of 80.
    table = Table(header_style="bold", box=None, pad_edge=False, padding=(0, 1))
    for index, name in enumerate(header):
        table.add_column(Text(name), justify="left" if index == 0 else others)
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def warn(sentence: str) -> None:
    """A risky choice, or something the user should know of a run."""
    if is_terminal():
        Console().print(f"[yellow]warning:[/] {sentence}", highlight=False)
    else:
        print(f"warning: {sentence}", flush=True)


class EpochLines(pl.Callback):
    """One line per epoch, at most twenty per run; in a terminal with a live bar of step, loss and accuracy below them."""

    # Steps between two updates of the bar; its own thread redraws it.
    EVERY = 20

    def __init__(self) -> None:
        self.bar: Progress | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        # A spawned process makes its copy by this call, before Lightning speaks there.
        return _quiet_epoch_lines, ()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero and is_terminal():
            self.bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=None),
                TextColumn("step {task.completed:.0f}/{task.total:.0f}"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[shown]}"),
                expand=True,
                transient=True,
                refresh_per_second=5,
            )
            total = int(trainer.estimated_stepping_batches)
            self.task = self.bar.add_task("", total=total, completed=trainer.global_step, shown="")
            self.bar.start()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.bar and batch_idx % self.EVERY == 0:
            epoch = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
            shown = metric_line(_shown(pl_module)).replace("train/", "")
            self.bar.update(self.task, completed=trainer.global_step, description=epoch, shown=shown)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        epoch, last = trainer.current_epoch + 1, trainer.max_epochs or 1
        assert isinstance(pl_module, GradpathModule)
        trained = {name: value.item() for name, value in pl_module.epoch_means().items() if name.endswith("loss")}
        if not trainer.is_global_zero or (epoch != last and epoch % -(-last // 20)):
            return
        validated = {name: value.item() for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
        line = f"epoch {epoch}/{last}  step {trainer.global_step}  {metric_line(trained | validated).replace('train/', '')}"
        if self.bar:
            self.bar.console.print(line, highlight=False)
        else:
            print(line, flush=True)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._stop()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._stop()

    def _stop(self) -> None:
        if self.bar:
            self.bar.stop()
            self.bar = None


def _quiet_epoch_lines() -> EpochLines:
    quiet()
    return EpochLines()


def _shown(module: pl.LightningModule) -> dict[str, float]:
    assert isinstance(module, GradpathModule)
    return module.shown


def metric_line(metrics: Mapping[str, float]) -> str:
    """`loss 0.1234  val/loss 0.2345  val/accuracy 0.9876`."""
    in_order = sorted(metrics, key=lambda name: (name.split("/")[0], not name.endswith("loss")))
    return "  ".join(f"{name} {metrics[name]:.4g}" for name in in_order)
