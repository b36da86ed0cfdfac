"""Writes the folders of finished sweeps and runs, as a sweep leaves them, without training."""

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from gradpath.sweep.plan import Plan, Planned, write_plan

Given = Mapping[str, str]
COMMAND = "python train.py -m seed=0,1"


def result(accuracy: float | None, **more: Any) -> dict[str, Any]:
    """The content of a small `result.json`; None: without the metric."""
    metrics = {"test/loss": 0.5, **({} if accuracy is None else {"test/accuracy": accuracy})}
    verdict = {"class": "healthy", "ratio": 1.5, "rate_per_layer": 1.1, "findings": [{"kind": "dead"}]}
    usual = {"status": "ok", "error": None, "choices": {}, "metrics": metrics, "verdict": verdict}
    return usual | {"durations": {"fit": 2.0, "test": 0.5}} | more


def write_run(folder: Path, content: Any) -> None:
    """The `result.json` of a run. A text is written as it is; None: nothing is."""
    folder.mkdir(parents=True, exist_ok=True)
    if content is not None:
        (folder / "result.json").write_text(content if isinstance(content, str) else json.dumps(content))


def write_sweep(
    folder: Path,
    axes: Mapping[str, Sequence[str]],
    outcome: Callable[[Given], Any],
    fixed: Sequence[str] = (),
    command: str = COMMAND,
) -> list[Given]:
    """A sweep over the grid of `axes`. `outcome` gives the result of each job. Returns what each job was given."""
    grid = [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]
    jobs = []
    for number, given in enumerate(grid):
        name = f"{number}-job"
        content = outcome(given)
        if isinstance(content, dict) and "seed" in given:
            content = {"seed": int(given["seed"]), **content}
        write_run(folder / name, content)
        overrides = [*(f"{key}={value}" for key, value in given.items()), *fixed]
        jobs.append(Planned(number, name, overrides, dict(given), f"config {number}", "code"))
    write_plan(folder, Plan((command,), 1, tuple(jobs)))
    return grid
