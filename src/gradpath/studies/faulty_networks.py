"""Programs whose network is at fault, or its initialisation."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from gradpath.studies.program import CLASSES, FEATURES, Row, classes, perceptron, train


def networks() -> Iterator[Row]:
    """Faults of the network and of its initialisation."""
    scale = "initial scale, activation, depth"

    def with_std(activation: Callable[[], nn.Module], std: float, well: float | None) -> Callable[[bool], dict[str, Any]]:
        return lambda faulty: train(perceptron(12, 64, activation, std if faulty else well), classes(), steps=20)

    yield (
        "twelve sigmoid layers",
        lambda faulty: train(perceptron(12, 64, nn.Sigmoid if faulty else nn.ReLU, 0.1 if faulty else None), classes()),
        "vanishing", scale,
    )  # fmt: skip
    yield "tanh, weights too small", with_std(nn.Tanh, 0.01, 0.125), "vanishing", scale
    yield "tanh, weights too large", with_std(nn.Tanh, 1.0, 0.125), "vanishing exploding saturation", scale
    yield "ReLU, weights too small", with_std(nn.ReLU, 0.02, None), "vanishing", scale
    yield "ReLU, weights too large", with_std(nn.ReLU, 0.5, None), "exploding", scale
    for word, value in (("zero", 0.0), ("one and the same number", 0.1)):

        def same(faulty: bool, value: float = value) -> dict[str, Any]:
            model = perceptron()
            for layer in model[::2]:
                if faulty and isinstance(layer, nn.Linear):
                    nn.init.constant_(layer.weight, value)
            return train(model, classes())

        yield f"all weights {word}", same, "symmetry", "symmetry"

    def dead(faulty: bool) -> dict[str, Any]:
        model = perceptron()
        nn.init.constant_(model[2].bias, -100.0 if faulty else 0.0)  # type: ignore[arg-type]
        return train(model, classes())

    yield "biases that kill ReLUs", dead, "dead_units vanishing", "initial scale, learning rate, activation"


def deep_networks() -> Iterator[Row]:
    """Faults of networks that are no plain chain of Linear layers."""
    scale = "initial scale, activation, depth"

    def convolutions(faulty: bool) -> dict[str, Any]:
        torch.manual_seed(0)
        parts: list[nn.Module] = []
        for index in range(10):
            layer = nn.Conv2d(8 if index else 1, 8, 3, padding=1)
            if not faulty:
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            parts += [layer, nn.Sigmoid() if faulty else nn.ReLU()]
        model = nn.Sequential(nn.Unflatten(1, (1, 4, 5)), *parts, nn.Flatten(), nn.Linear(160, CLASSES))
        return train(model, classes(), steps=15)

    yield "ten convolutions with sigmoids", convolutions, "vanishing", scale

    class Cells(nn.Module):
        def __init__(self, gain: float) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.read, self.cell, self.head = nn.Linear(1, 32), nn.Linear(32, 32), nn.Linear(32, CLASSES)
            nn.init.orthogonal_(self.cell.weight, gain)

        def forward(self, x: Tensor) -> Tensor:
            state = torch.zeros(len(x), 32)
            for time in range(FEATURES):
                state = torch.tanh(self.cell(state) + self.read(x[:, time : time + 1]) / 4)
            out: Tensor = self.head(state)
            return out

    yield (
        "a recurrent network that forgets",
        lambda faulty: train(Cells(0.3 if faulty else 1.0), classes(), steps=15),
        "vanishing", f"{scale}, recurrence",
    )  # fmt: skip

    class Residual(nn.Module):
        def __init__(self, gain: float) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.gain, self.stem, self.head = gain, nn.Linear(FEATURES, 64), nn.Linear(64, CLASSES)
            self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64)) for _ in range(8))

        def forward(self, x: Tensor) -> Tensor:
            x = self.stem(x)
            for block in self.blocks:
                x = x + self.gain * block(x)
            out: Tensor = self.head(x)
            return out

    yield (
        "residual branches that are too large",
        lambda faulty: train(Residual(30.0 if faulty else 1.0), classes(), steps=15),
        "exploding", scale,
    )  # fmt: skip

    def normalised(faulty: bool) -> dict[str, Any]:
        torch.manual_seed(0)
        parts: list[nn.Module] = []
        for index in range(40 if faulty else 4):
            parts += [nn.Linear(64 if index else FEATURES, 64), nn.BatchNorm1d(64), nn.ReLU()]
        return train(nn.Sequential(*parts, nn.Linear(64, CLASSES)), classes(), steps=15)

    yield "forty layers with BatchNorm", normalised, "exploding", "BatchNorm, depth"
