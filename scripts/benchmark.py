"""What a training step costs: gradpath's default run compared with a plain
PyTorch loop and with the stock pipeline, and the probe's options compared with
no probe.

    python scripts/benchmark.py [pairs=7] [steps=300]
    python scripts/benchmark.py loops [pairs=7]           a residual network and a transformer in loops of their own
    python scripts/benchmark.py neighbours [pairs=7]      a run alone, and beside two busy processes

Machines are noisy, so only ratios taken side by side count. The loops run in
turn, `pairs` times, for one epoch of `steps` steps each. Every ratio compares
two loops of the same turn. Prints the median of each ratio with its range, as
Markdown tables.
"""

import contextlib
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
import torch.nn.functional as F
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import grad_norm
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset
from torchvision import datasets, transforms

from gradpath.config.arguments import Command, Keys, Value, one_line_ends, one_of, whole
from gradpath.config.checks import PROJECT
from gradpath.config.composition import compose
from gradpath.data.batch import Batch
from gradpath.data.memory import MemoryDataModule
from gradpath.files import RESULT
from gradpath.run.build import build_run, build_trainer
from gradpath.run.folder import start_folder
from gradpath.run.terminal import quiet
from gradpath.studies.own_networks import Language, Residual, peak_memory, seconds_per_step
from gradpath.threads import CHOSEN, TURNS

WARM_UP = 25
# Steps of a loop that is not ours.
OWN_STEPS = 50
PAIRS = Value(whole(1), "N", default=7)
KEYS = {
    "": Keys({"pairs": PAIRS, "steps": Value(whole(200, 400), "N", default=300)}),
    "loops": Keys({"pairs": PAIRS}),
    "neighbours": Keys({"pairs": PAIRS}),
}
# Four epochs of 12,800 digits.
SHORT_RUN = ("data.limit=12800", "trainer.max_epochs=4", "trainer.accelerator=cpu")
# How long threads wait for each other. The environment decides it when torch is loaded.
WAITS = {
    "libgomp's own: 300,000 turns": {"GOMP_SPINCOUNT": "300000"},
    f"gradpath's: {TURNS} turns": {},
    "none: OMP_WAIT_POLICY=passive": {"OMP_WAIT_POLICY": "passive"},
    "one thread: OMP_NUM_THREADS=1": {"OMP_NUM_THREADS": "1"},
}


def chapter_network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10))


def plain_loop(data: MemoryDataModule, steps: int, fused: bool | None) -> float:
    """Seconds per step of the chapter's loop. It reads the same bytes from memory and normalises them batch by batch."""
    network = chapter_network()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.001, fused=fused)
    inputs, targets = data.train.inputs, data.train.targets
    order = torch.randperm(len(inputs)).split(128)[: steps + WARM_UP]  # type: ignore[no-untyped-call]
    timer = Timer(steps)
    for step, rows in enumerate(order):
        if step >= WARM_UP and (step - WARM_UP) % Timer.BLOCK == 0:
            timer.marks.append(time.perf_counter())
        x, y = data.on_after_batch_transfer(Batch(inputs[rows], targets[rows]), 0)
        loss = F.cross_entropy(network(x), y)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return timer.seconds


def gradpath_run(steps: int, *overrides: str) -> float:
    """Seconds per step of the default run, changed by `overrides`. Probe, logs and progress bar are included."""
    config, choices = compose(
        "trainer.accelerator=cpu", "trainer.max_epochs=1", f"trainer.limit_train_batches={steps + WARM_UP}", *overrides
    )
    data, _, objective, module = build_run(config, choices)
    timer = Timer(steps)
    with tempfile.TemporaryDirectory() as folder:
        trainer = build_trainer(config, Path(folder), objective.metric_name)
        start_folder(Path(folder), config, [], trainer)
        trainer.callbacks.append(timer)  # type: ignore[attr-defined]
        with contextlib.redirect_stdout(io.StringIO()):
            trainer.fit(module, data)
    return timer.seconds


class StockModule(pl.LightningModule):
    """The module of a usual tutorial, which logs everything at every step."""

    def __init__(self) -> None:
        super().__init__()
        self.network = chapter_network()

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        x, y = batch
        outputs = self.network(x.flatten(1))
        loss = F.cross_entropy(outputs, y)
        self.log("train/loss", loss)
        self.log("train/accuracy", (outputs.argmax(1) == y).float().mean())
        return loss

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        self.log_dict(grad_norm(self.network, norm_type=2))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=0.001)


def stock_pipeline(images: Any, steps: int) -> float:
    """Seconds per step of the stock pipeline.

    It is a DataLoader with ToTensor and Normalize, Lightning, TensorBoard, and `grad_norm` at every step.
    """
    loader = DataLoader(Subset(images, range((steps + WARM_UP) * 128)), batch_size=128, shuffle=True)
    timer = Timer(steps)
    with tempfile.TemporaryDirectory() as folder:
        trainer = pl.Trainer(
            max_epochs=1,
            accelerator="cpu",
            logger=TensorBoardLogger(folder),
            callbacks=[timer],
            log_every_n_steps=1,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(StockModule(), loader)
    return timer.seconds


class Timer(pl.Callback):
    """Seconds per step after the warm-up: the median over blocks of steps, which a short interruption does not move."""

    # Steps in a block. Each block holds one step at which probe=standard measures everything.
    BLOCK = 25

    def __init__(self, steps: int) -> None:
        self.last = WARM_UP + steps - 1
        self.marks: list[float] = []

    @property
    def seconds(self) -> float:
        return statistics.median(b - a for a, b in pairwise(self.marks)) / self.BLOCK

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if WARM_UP <= batch_idx + 1 <= self.last + 1 and (batch_idx + 1 - WARM_UP) % self.BLOCK == 0:
            self.marks.append(time.perf_counter())


def probe_options(steps: int, *network: str) -> dict[str, Callable[[], float]]:
    """The runs to compare: one without a probe, and one with each of the probe's options."""
    options = {
        "probe=none": ("probe=none",),
        "probe=light (every 50 steps)": ("probe=light", "probe.every=50"),
        "probe=light, every step": ("probe=light", "probe.every=1"),
        "probe=standard (gradients every step, all every 25)": ("probe=standard",),
        "probe=standard, all every step": ("probe=standard", "probe.slow_every=1"),
    }
    return {name: partial(gradpath_run, steps, *network, *chosen) for name, chosen in options.items()}


def measure(loops: Mapping[str, Callable[[], float]], pairs: int) -> Iterator[tuple[str, list[float], list[float]]]:
    """Runs every loop in turn, `pairs` times.

    Yields for each loop its name, its milliseconds per step, and their ratios to the first loop of the same turn.
    """
    next(iter(loops.values()))()
    turns = [[loop() * 1000 for loop in loops.values()] for _ in range(pairs)]
    for index, name in enumerate(loops):
        yield name, [turn[index] for turn in turns], [turn[index] / turn[0] for turn in turns]


def short_run(variables: dict[str, str]) -> float:
    """Seconds that the default run trains, in a process of its own with these variables in its environment."""
    own = {name: value for name, value in os.environ.items() if name not in CHOSEN} | variables
    with tempfile.TemporaryDirectory() as folder:
        typed = [sys.executable, str(PROJECT / "train.py"), *SHORT_RUN, f"hydra.run.dir={folder}/run"]
        subprocess.run(typed, env=own, check=True, stdout=subprocess.DEVNULL)
        seconds: float = json.loads(Path(folder, "run", RESULT).read_text())["durations"]["fit"]
    return seconds


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """Keeps `count` other processes busy during the block."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def neighbours(pairs: int) -> None:
    """Prints what each way of waiting costs, alone and beside two busy processes."""
    alone: list[list[float]] = []
    beside: list[list[float]] = []
    for _ in range(pairs):
        alone.append([short_run(variables) for variables in WAITS.values()])
        with busy(2):
            beside.append([short_run(variables) for variables in WAITS.values()])
    print(
        f"{os.cpu_count()} cores, torch {torch.__version__}, {pairs} pairs of a default run of {' '.join(SHORT_RUN[:2])}\n"
    )
    print_neighbours(alone, beside)


def print_neighbours(alone: list[list[float]], beside: list[list[float]]) -> None:
    """Prints a table of seconds, and of their ratios within a turn. Both lists have a list for each turn, of all WAITS."""
    print("| threads wait | alone, s | x libgomp's own | beside two busy, s | x itself alone |\n|---|---|---|---|---|")
    for place, name in enumerate(WAITS):
        undisturbed, disturbed = ([turn[place] for turn in turns] for turns in (alone, beside))
        ratios = [a / turn[0] for a, turn in zip(undisturbed, alone, strict=True)]
        slower = [b / a for a, b in zip(undisturbed, disturbed, strict=True)]
        cells = [
            f"{statistics.median(undisturbed):.2f}",
            spread(ratios),
            f"{statistics.median(disturbed):.2f}",
            spread(slower),
        ]
        print(f"| {name} | {' | '.join(cells)} |")


def own_loops(pairs: int) -> None:
    """Prints what the probe costs around loops that are not ours."""
    torch.manual_seed(0)
    networks = {
        "17 convolutions of 32 channels, 32 images of 3 x 32 x 32": (Residual, torch.randn(32, 3, 32, 32)),
        "transformer, 6 layers of width 128, 16 texts of 64 tokens": (Language, torch.randint(500, (16, 64))),
    }
    options: dict[str, dict[str, Any] | None] = {
        "without": None,
        "slow_every=25 (gradients every step, all every 25)": {"slow_every": 25},
        "every=10 (all, every tenth step)": {"every": 10},
        "all, every step": {},
    }
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, {pairs} pairs of {OWN_STEPS} steps")
    for title, (make, inputs) in networks.items():
        loops = {name: partial(seconds_per_step, make, inputs, chosen, OWN_STEPS) for name, chosen in options.items()}
        report(title, "the loop without the probe", loops, pairs)
        without, *others = (peak_memory(make, inputs, chosen, OWN_STEPS) for chosen in options.values())
        print(f"\nmemory at its peak: {without:.0f} MiB without, then {', '.join(f'{it / without:.2f} x' for it in others)}")


def spread(ratios: list[float]) -> str:
    """The median and the range."""
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def main() -> None:
    chosen = Command(__doc__, {"what": Value(one_of([name for name in KEYS if name]), "WHAT")}, KEYS).read()
    if chosen.what == "loops":
        own_loops(chosen.pairs)
    elif chosen.what:
        neighbours(chosen.pairs)
    else:
        loops_in_turn(chosen.pairs, chosen.steps)


def loops_in_turn(pairs: int, steps: int) -> None:
    """Prints what a step of each loop costs."""
    quiet()
    pl.seed_everything(0, verbose=False)
    config, choices = compose()
    data, *_ = build_run(config, choices)
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    images = datasets.MNIST(str(PROJECT / "data"), train=True, transform=transform)
    loops = {
        "plain PyTorch loop (chapter)": lambda: plain_loop(data, steps, fused=None),
        "plain loop, fused Adam": lambda: plain_loop(data, steps, fused=True),
        "gradpath, default run": lambda: gradpath_run(steps),
        "gradpath, probe=none": lambda: gradpath_run(steps, "probe=none"),
        "stock Lightning pipeline": lambda: stock_pipeline(images, steps),
    }
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, {pairs} pairs of {steps} steps")
    report("loop", "the plain loop", loops, pairs)
    report("784-512-256-10", "the run without a probe", probe_options(steps), pairs)
    deep = probe_options(steps // 4, "model=deep", "model.depth=50", "model.width=256")
    report("50 hidden layers of 256", "the run without a probe", deep, pairs)
    # The numbers are from Schneider et al. 2021 (Cockpit), for an MLP on MNIST on a CPU, measured at every step.
    print("\nPublished for Cockpit: |dW| alone 1.03, its economy set 63, business 72, full 260 x the step without it.")


def report(title: str, reference: str, loops: Mapping[str, Callable[[], float]], pairs: int) -> None:
    """Prints a Markdown table of what each loop costs."""
    print(f"\n| {title} | ms per step | x {reference} (median, range) |\n|---|---|---|")
    for name, times, ratios in measure(loops, pairs):
        print(f"| {name} | {statistics.median(times):.2f} | {spread(ratios)} |", flush=True)


if __name__ == "__main__":
    with one_line_ends("nothing was written."):
        main()
