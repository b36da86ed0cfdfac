"""Writes records as runs would leave them, with realistic numbers and numpy alone."""

import json
from pathlib import Path
from typing import Any

import numpy as np

VANISHING = {
    "class": "vanishing",
    "ratio": 1.4e-7,
    "rate_per_layer": 0.24,
    "undecided": None,
    "deviation": {"sentence": "measured 0.21 per layer (0.2 to 0.22 over 5 seeds), theory 0.23 to 0.25: outside"},
    "findings": [
        {
            "kind": "vanishing",
            "cause": "activation",
            "layer": "hidden_01",
            "message": "the gradient shrinks 4.2x per layer on its way to the input: Sigmoid has a slope of at most 0.25",
            "remedy": "activation=relu init=he_normal",
        },
        {
            "kind": "correlation_collapse",
            "cause": "activation",
            "layer": None,
            "message": "two different inputs look the same here: correlation 1 - 8e-15",
            "remedy": "activation=tanh init=critical",
        },
    ],
    "end": {"class": "vanishing", "ratio": 3.9e-6, "rate_per_layer": 0.32, "undecided": None},
}
HEALTHY = {
    "class": "healthy",
    "ratio": 0.83,
    "rate_per_layer": 0.98,
    "undecided": None,
    "findings": [],
    "end": {"class": "healthy", "ratio": 0.64},
}


def layers(count: int) -> list[str]:
    """The names of `count` layers: `hidden_01`, ..., `output`."""
    width = len(str(count - 1)) if count > 100 else 2
    return [f"hidden_{index:0{width}d}" for index in range(1, count)] + ["output"]


def content(count: int = 13, steps: int = 200, rate: float = 0.24, seed: int = 0, every: int = 10) -> dict[str, Any]:
    """The arrays of a record: a network of `count` layers whose gradient changes by `rate` per layer towards the input."""
    random = np.random.default_rng(seed)
    step = np.arange(steps, dtype=np.int64) * every
    above = np.arange(count)[::-1]
    progress = np.linspace(0, 1, steps)[:, None]
    noise = np.exp(random.normal(0, 0.08, (steps, count)))
    delta = 0.05 * np.exp(np.log(rate) * above * (1 - 0.25 * progress)) * noise * np.exp(-1.5 * progress)
    weight = 8 + 2 * progress + random.normal(0, 0.02, (steps, count))
    theory = 0.05 * rate**above
    return {
        "layer": np.array(layers(count)),
        "step": step,
        "delta": delta,
        "weight_grad_norm": 20 * delta,
        "weight_norm": weight,
        "update_ratio": 1e-3 * noise / weight,
        "activation_mean": 0.5 * np.tanh(random.normal(0, 0.3, (steps, count))),
        "saturated": np.clip(0.3 + 0.4 * progress + random.normal(0, 0.03, (steps, count)), 0, 1),
        "theory_delta": np.where(above == 0, np.nan, theory),
        "theory_delta_band": np.where(above == 0, np.nan, theory * np.exp([[-0.05], [0.05]] * (above - 1))),
        "seeds_delta_band": np.where(above == 0, np.nan, theory * np.exp([[-0.02], [0.02]] * (above - 1))),
    }


def write(
    folder: Path, arrays: dict[str, Any] | None = None, verdict: dict[str, Any] | None = None, **options: Any
) -> dict[str, Any]:
    """Writes `folder/flow.npz` by renaming a temporary file, as a run does. Returns its arrays."""
    arrays = content(**options) if arrays is None else arrays
    extra = {} if verdict is None else {"verdict": np.array(json.dumps(verdict))}
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".flow.npz").open("wb") as file:
        np.savez_compressed(file, **arrays, **extra)
    (folder / ".flow.npz").replace(folder / "flow.npz")
    return arrays
