"""The terminal: what was chosen, how it goes, what came out. In a pipe or a file: plain lines."""

import logging
import sys
import threading
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import lightning.pytorch as pl
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.rule import Rule
from rich.text import Text

from gradpath.columns import TIE, tied, width, wrapped
from gradpath.model.module import GradpathModule
from gradpath.model.network import LayerSummary
from gradpath.streams import open_streams
from gradpath.tables import GAP, WIDEST
from gradpath.tables import left_out as left_out
from gradpath.tables import show_markdown as show_markdown
from gradpath.tables import show_table as show_table
from gradpath.tables import table_lines as table_lines

Rows = Iterable[tuple[str, str]]
# What TensorBoard's event file lacks, and why, until `warn_of_gaps` says it.
gaps: list[str] = []
# Columns of the time in the bar, with a space before it; of a metric: `accuracy 1.234e-05`.
TIME, METRIC = 9, 18


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
        gaps.append(arguments.exc_value.strerror or str(arguments.exc_value))
    else:
        threading.__excepthook__(arguments)


def warn_of_gaps() -> None:
    """Warns, after a run that has come to its end, if something is missing in TensorBoard's event file."""
    for gap in gaps:
        warn(f"TensorBoard's event file is incomplete: {gap}")
    gaps.clear()


def show(title: str, rows: Rows) -> None:
    """A title and named values, below each other. In a terminal long values go on in the next line, at words."""
    # A user's own code may have closed stdout.
    open_streams()
    rows, columns = list(rows), width()
    if columns is None:
        lines = [title, *(f"  {name}: {value}" for name, value in rows)]
        print("\n".join(lines).replace(TIE, " "), flush=True)
        return
    console = Console(width=columns)
    console.print(Rule(Text(title, "bold"), align="left", style="dim"))
    for name, lines in zip([name for name, _ in rows], _laid_out(rows, columns), strict=True):
        first = Text(lines[0])
        first.stylize("cyan", 0, len(name))
        for line in (first, *map(Text, lines[1:])):
            # A word wider than the terminal is left to the terminal, so that it can be copied.
            console.print(line, soft_wrap=True)


def _laid_out(rows: Sequence[tuple[str, str]], columns: int) -> list[list[str]]:
    """The lines of each row: the value beside its name; where names are long behind it; a long word below it."""
    beside = max((len(name) for name, _ in rows), default=0) + GAP
    if beside > columns // 3:
        return [wrapped(value, f"{name}: ", "    ") for name, value in rows]
    room = columns - beside
    return [
        wrapped(value, name.ljust(beside), " " * beside)
        if max(map(len, value.split(" "))) <= room
        else [name, *wrapped(value, "    ", "    ")]
        for name, value in rows
    ]


def show_network(layers: list[LayerSummary], total: int) -> None:
    """The network's table: per layer shape, parameters, sigma_w^2, sigma_b^2. The middle of a deep one is left out."""
    header = ("layer", "shape", "parameters", "sigma_w^2", "sigma_b^2")
    cells = [(r.name, r.shape, f"{r.parameters:,}", f"{r.sigma_w2:.4g}", f"{r.sigma_b2:.4g}") for r in layers]
    show_table(header, [*shortened(cells, len(header)), ("total", "", f"{total:,}", "", "")])


def shortened(rows: Sequence[tuple[str, ...]], columns: int) -> list[tuple[str, ...]]:
    """At most eleven rows: a deep network's middle becomes one of dots."""
    return list(rows) if len(rows) <= 12 else [*rows[:5], ("...",) * columns, *rows[-5:]]


def warn(sentence: str) -> None:
    """A risky choice, or something the user should know of a run. Each of its lines is wrapped by itself."""
    head = "warning: "
    said, *more = sentence.split("\n")
    lines = [*wrapped(said, head, "  "), *(part for line in more for part in wrapped(line.strip(), "  ", "    "))]
    first, *others = map(Text, lines)
    if width() is not None:
        first.stylize("yellow", 0, len(head))
    for line in (first, *others):
        Console(width=width() or WIDEST).print(line, soft_wrap=True)


def show_count(done: int, of: int) -> None:
    """Counts on one line of the terminal that stderr writes to. A pipe or a file gets no progress."""
    if width(sys.stderr) is not None:
        print(f"\r{done} of {of}", end="", file=sys.stderr, flush=True)


def end_count() -> None:
    if width(sys.stderr) is not None:
        print(file=sys.stderr)


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
        columns = width()
        if trainer.is_global_zero and columns is not None:
            total = int(trainer.estimated_stepping_batches)
            parts, self.room = _bar(columns, _epoch(trainer), total)
            self.bar = Progress(*parts, expand=True, transient=True, refresh_per_second=5, console=Console(width=columns))
            self.task = self.bar.add_task(_epoch(trainer), total=total, completed=trainer.global_step, shown=" " * self.room)
            self.bar.start()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.bar and batch_idx % self.EVERY == 0:
            shown = _fields(self.room, metric_line(_shown(pl_module)).replace("train/", ""))
            self.bar.update(self.task, completed=trainer.global_step, description=_epoch(trainer), shown=shown)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        epoch, last = trainer.current_epoch + 1, trainer.max_epochs or 1
        assert isinstance(pl_module, GradpathModule)
        trained = {name: value.item() for name, value in pl_module.epoch_means().items() if name.endswith("loss")}
        if not trainer.is_global_zero or (epoch != last and epoch % -(-last // 20)):
            return
        validated = {name: value.item() for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
        line = f"epoch {epoch}/{last}  step {trainer.global_step}  {metric_line(trained | validated).replace('train/', '')}"
        # Broken between two numbers, not between a number and its name.
        lines = wrapped("  ".join(map(tied, line.split("  "))), further="  ")
        if self.bar:
            self.bar.console.print("\n".join(lines), highlight=False)
        else:
            print("\n".join(lines), flush=True)

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


def _epoch(trainer: pl.Trainer) -> str:
    last = str(trainer.max_epochs)
    return f"epoch {trainer.current_epoch + 1:>{len(last)}}/{last}"


def _bar(columns: int, epoch: str, total: int) -> tuple[list[ProgressColumn], int]:
    """The parts of the bar that fit into a terminal, and the room for metrics. No part grows while the bar is there."""
    steps = len(str(total))
    step = TextColumn(f"step {{task.completed:>{steps}.0f}}/{{task.total:.0f}}")
    # Beside them a bar of ten columns, and a space between every two parts.
    free = columns - len(epoch) - len(f"step /{total}") - steps - 10 - 2
    parts: list[ProgressColumn] = [TextColumn("{task.description}"), BarColumn(bar_width=None), step]
    if free > TIME:
        parts.append(TimeRemainingColumn())
        free -= TIME
    room = next((room for room in (2 * METRIC + GAP, METRIC) if room < free), 0)
    return [*parts, TextColumn("{task.fields[shown]}")] if room else parts, room


def _fields(room: int, metrics: str) -> str:
    """As many of the metrics as there is room for, each in a field of its own width."""
    fields = [part.ljust(METRIC) for part in metrics.split("  ")]
    return (" " * GAP).join(fields[: (room + GAP) // (METRIC + GAP)]).ljust(room)


def _shown(module: pl.LightningModule) -> dict[str, float]:
    assert isinstance(module, GradpathModule)
    return module.shown


def metric_line(metrics: Mapping[str, float]) -> str:
    """`loss 0.1234  val/loss 0.2345  val/accuracy 0.9876`."""
    in_order = sorted(metrics, key=lambda name: (name.split("/")[0], not name.endswith("loss")))
    return "  ".join(f"{name} {metrics[name]:.4g}" for name in in_order)
