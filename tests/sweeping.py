"""What a sweep of tiny runs leaves."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

# A run of a third of a second.
TINY = (
    "data=xor",
    "data.steps_per_epoch=20",
    "model.hidden=[6,6]",
    "trainer.max_epochs=3",
    "trainer.accelerator=cpu",
    "probe=none",
)

# What is typed for each engine. All but the default take seconds to start.
ENGINES = {"local": [], "slurm": ["hydra/launcher=slurm", "hydra.launcher.cluster=local"], "ray": ["hydra/launcher=ray"]}
# How often a sweep is killed and resumed.
KILLS = [
    pytest.param(2, marks=pytest.mark.part),
    pytest.param(5, marks=[pytest.mark.slow, pytest.mark.timeout(1800)]),
    pytest.param(20, marks=[pytest.mark.exhaustive, pytest.mark.timeout(1800)]),
]
LAUNCHERS = [name if name == "local" else pytest.param(name, marks=pytest.mark.slow) for name in ENGINES]


# How the lines begin that say at the end of a sweep where to look further.
POINTERS = ("best: ", "alone: ", "report: ", "compare: ")


def counted(out: str) -> str:
    """The line of a sweep's output that counts what came out."""
    return [line for line in out.splitlines() if not line.startswith(POINTERS)][-1]


def pointer(out: str, name: str) -> str:
    """What stands behind `report: `, say, at the end of a sweep's output."""
    [found] = [line.removeprefix(f"{name}: ") for line in out.splitlines() if line.startswith(f"{name}: ")]
    return found


def results(folder: Path) -> dict[str, dict[str, Any]]:
    """The name of each job -> its result."""
    return {path.parent.name: json.loads(path.read_text()) for path in sorted(folder.glob("*/result.json"))}


def lasting(folder: Path) -> dict[str, Any]:
    """What a sweep leaves, without what time and place decide: per job its result, its curves and its weights."""
    found: dict[str, Any] = {}
    for path in sorted(folder.glob("*/result.json")):
        result = json.loads(path.read_text())
        kept = {key: value for key, value in result.items() if key not in ("durations", "environment", "command")}
        curves = path.with_name("metrics.csv")
        best = path.with_name("checkpoints") / "best.ckpt"
        found[path.parent.name] = (kept, curves.exists() and curves.read_text(), best.exists() and weights_of(best))
    return found


def weights_of(checkpoint: Path) -> dict[str, list[Any]]:
    state = torch.load(checkpoint, weights_only=True)["state_dict"]
    return {name: value.tolist() for name, value in state.items()}
