"""Writes sweeps as their jobs would leave them, with realistic numbers and sizes, and without training."""

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gradpath.sweep.plan import Plan, Planned, write_plan
from synthetic import layers

GRID = {"activation": ["sigmoid", "tanh", "relu"], "init": ["xavier_normal", "he_normal"], "seed": ["0", "1", "2"]}
RATES = {"sigmoid": 0.24, "tanh": 0.97, "relu": 1.0, "gelu": 0.9}
FINDING = {
    "kind": "vanishing", "cause": "activation", "layer": "hidden_01", "remedy": "activation=relu init=he_normal",
    "message": "the gradient shrinks 4.2x per layer on its way to the input: Sigmoid has a slope of at most 0.25",
}  # fmt: skip
ENVIRONMENT = {
    "gradpath": "0.1.0", "python": "3.11.7", "torch": "2.14.1", "lightning": "2.6.6", "platform": "Linux", "device": "cpu",
    "gpu": None, "cpus": 2, "threads": 1, "git_commit": "0123456789abcdef0123456789abcdef01234567", "git_clean": True,
}  # fmt: skip
Result = dict[str, Any]
# What a test makes of a job: its result, or None for a job that has not ended.
Change = Callable[[int, Mapping[str, str], Result], Result | None]


def as_it_is(number: int, choices: Mapping[str, str], result: Result) -> Result | None:
    return result


def write_sweep(
    folder: Path, grid: Mapping[str, Sequence[str]] = GRID, change: Change = as_it_is, count: int = 10, epochs: int = 8
) -> Plan:
    """Writes a sweep of all combinations, of networks of `count` layers that train for some epochs. Returns its plan."""
    jobs = []
    for number, values in enumerate(itertools.product(*grid.values())):
        choices = dict(zip(grid, values, strict=True))
        overrides = [*(f"{key}={value}" for key, value in choices.items()), "data=mnist"]
        jobs.append(Planned(number, f"{number:03d}-job", overrides, choices, str(number), "code"))
        result = change(number, choices, make_result(number, choices, count))
        if result is not None:
            (folder / jobs[-1].name).mkdir(parents=True)
            (folder / jobs[-1].name / "result.json").write_text(json.dumps(result, indent=2))
            write_curves(folder / jobs[-1].name, number, epochs)
    folder.mkdir(exist_ok=True)
    typed = " ".join(f"{key}={','.join(values)}" for key, values in grid.items())
    plan = Plan((f"python train.py -m {typed} data=mnist",), 1, tuple(jobs))
    write_plan(folder, plan)
    return plan


def make_result(number: int, choices: Mapping[str, str], count: int) -> Result:
    random = np.random.default_rng(number)
    rate = RATES.get(choices.get("activation", "tanh"), 1.0) * float(np.exp(random.normal(0, 0.02)))
    above = np.arange(count)[::-1] - 1
    deltas = rate**above * np.exp(random.normal(0, 0.05, count))
    accuracy = 0.1 + 0.8 * random.random()
    ratio = float(deltas[0] / deltas[-2])
    judged = {
        "class": "vanishing" if rate < 0.5 else "healthy",
        "ratio": ratio,
        "rate_per_layer": rate,
        "interval": [rate, rate],
    }
    sentence = f"measured {rate:.3f} per layer (0.21 to 0.22 over 5 seeds), theory 0.23 to 0.25: outside"
    return {
        "status": "ok", "error": None, "choices": dict(choices), "seed": number, "parameters": 32842,
        "metrics": {
            "train/loss": 2 - 2 * accuracy, "val/loss": 2.1 - 2 * accuracy, "val/accuracy": accuracy - 0.01,
            "test/loss": 2.2 - 2 * accuracy, "test/accuracy": accuracy, "best_epoch": 2, "last_epoch": 8,
        },
        "verdict": {
            **judged, "end": judged, "findings": [FINDING] if rate < 0.5 else [],
            "deviation": {"sentence": sentence, "outside": True},
        },
        "profile": profile(deltas, random), "profile_end": profile(deltas * np.exp(-0.1 * above), random),
        "theory": profile(RATES.get(choices.get("activation", "tanh"), 1.0) ** above, random)[:-1],
        "durations": {"train": 3 + random.random(), "test": 0.5}, "environment": ENVIRONMENT, "command": "python train.py",
    }  # fmt: skip


def profile(deltas: Any, random: np.random.Generator) -> list[dict[str, Any]]:
    """A row per layer, with as many numbers as a run writes."""
    others = (
        "sigma_w2",
        "q",
        "weight_grad_norm",
        "weight_norm",
        "bias_grad_norm",
        "activation_mean",
        "saturated",
        "correlation",
    )
    return [
        {"layer": name, "width": 32, "delta": float(delta), **{other: float(random.random()) for other in others}}
        for name, delta in zip(layers(len(deltas)), deltas, strict=True)
    ]


def write_curves(folder: Path, number: int, epochs: int, steps: int = 4) -> None:
    """A `metrics.csv` with a few logged steps in every epoch."""
    lines = ["step,epoch,lr,train/loss,train/loss_epoch,val/loss"]
    for epoch in range(1, epochs + 1):
        step = epoch * steps * 50
        lines += [f"{step - 50 * back},{epoch},0.001,{2.3 * 0.9**epoch + 0.01 * back!r},," for back in range(steps, 0, -1)]
        lines += [f"{step},{epoch},,,,{loss(number, epoch)!r}", f"{step},{epoch},,,{loss(number, epoch) - 0.05!r},"]
    (folder / "metrics.csv").write_text("\n".join(lines) + "\n")


def loss(number: int, epoch: int) -> float:
    """The validation loss of a job after an epoch."""
    return float(0.5 + 1.8 * 0.8**epoch + 0.02 * (number % 7))
