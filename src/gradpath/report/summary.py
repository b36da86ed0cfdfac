"""What the terminal says at the start and at the end of a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import numpy.typing as npt

from gradpath.network import MLP, count_parameters
from gradpath.report import console

# Shown in the start panel only when they are not the usual ones.
USUAL = {"loss": "auto", "norm": "none", "probe": "light", "trainer": "auto"}


def show_start(
    seed: int, choices: Mapping[str, str], network: MLP, batch_size: int, folder: Path, trainer: pl.Trainer
) -> None:
    """What was chosen, on which device, how large."""
    shown = [f"{group}={option}" for group, option in choices.items() if USUAL.get(group) != option]
    processes = f", {trainer.world_size} processes" if trainer.world_size > 1 else ""
    console.show(
        f"gradpath, seed {seed}",
        [
            ("choices", "  ".join(shown)),
            ("device", f"{trainer.strategy.root_device}{processes}"),
            ("parameters", f"{count_parameters(network):,}"),
            ("training", f"{trainer.max_epochs} epochs, batches of {batch_size}"),
            ("logs", relative(folder)),
        ],
    )
    console.show_network(network.summary(), count_parameters(network))


def show_result(result: Mapping[str, Any], flow: Mapping[str, npt.NDArray[Any]] | None, folder: Path) -> None:
    """Metrics, the gradient's way through depth, and where to look next.

    Args:
        flow: the record of the run, None where nothing was measured.
    """
    metrics = result["metrics"]
    rows = [(name, f"{value:.4f}") for name, value in metrics.items() if isinstance(value, float)]
    if "best_epoch" in metrics:
        rows.append(("best epoch", f"{metrics['best_epoch'] + 1} of {metrics['last_epoch'] + 1}, by validation"))
    reading = result["verdict"]
    if reading["class"]:
        ratio = "not finite" if reading["ratio"] is None else f"{reading['ratio']:.3g}"
        rows.append(("gradient at start", f"{reading['class']}, |delta| first / last hidden layer = {ratio}"))
    if flow is not None and len(flow["step"]):
        rows += [_norm_row(flow, index) for index in sorted({0, len(flow["step"]) - 1})]
    if result["error"]:
        rows.append((result["status"], result["error"]))
    rows += [
        ("time", f"{result['durations'].get('fit', 0):.1f} s of training"),
        ("logs", relative(folder)),
        ("TensorBoard", f"tensorboard --logdir {relative(folder)}"),
    ]
    console.show("result", rows)


def relative(folder: Path) -> str:
    """A folder as the user would type it."""
    return str(folder.relative_to(Path.cwd())) if folder.is_relative_to(Path.cwd()) else str(folder)


def _norm_row(flow: Mapping[str, npt.NDArray[Any]], index: int) -> tuple[str, str]:
    first, last = np.asarray(flow["weight_grad_norm"][index])[[0, -1]]
    values = [f"{first:.3g} in {flow['layer'][0]}", f"{last:.3g} in {flow['layer'][-1]}"]
    return f"|dW|, step {flow['step'][index]}", ", ".join(dict.fromkeys(values))
