"""Programs whose optimiser, data, loss or loop is at fault."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradpath.studies.program import CLASSES, Row, classes, numbers, perceptron, sgd, train


def rates() -> Iterator[Row]:
    """Faults of the optimiser and of its settings."""

    def with_rate(lr: float, well: float, steps: int = 60, **options: Any) -> Callable[[bool], dict[str, Any]]:
        def run(faulty: bool) -> dict[str, Any]:
            model = perceptron()
            return train(model, classes(), optimizer=sgd(model, lr if faulty else well, **options), steps=steps)

        return run

    rate = "learning rate"
    yield "a rate that is far too large", with_rate(30.0, 0.05), "divergence dead_units vanishing exploding", rate
    yield "a rate that is far too small", with_rate(1e-9, 0.05, 240), "flat_loss small_updates", rate
    yield (
        "momentum with a large rate",
        with_rate(3.0, 0.01, momentum=0.99),
        "divergence dead_units exploding vanishing",
        rate,
    )

    def adam(faulty: bool) -> dict[str, Any]:
        model = perceptron()
        return train(model, classes(), optimizer=torch.optim.Adam(model.parameters(), lr=3.0 if faulty else 1e-3), steps=240)

    yield "Adam with a rate of three", adam, "divergence dead_units flat_loss exploding vanishing", rate

    def summed(faulty: bool) -> dict[str, Any]:
        model = perceptron(outputs=1)

        def loss(outputs: Tensor, targets: Tensor) -> Tensor:
            return F.mse_loss(outputs, targets, reduction="sum" if faulty else "mean")

        return train(model, numbers(), loss, optimizer=sgd(model, 0.05))

    yield "a loss that is summed", summed, "divergence dead_units exploding vanishing", rate

    def clipped(faulty: bool) -> dict[str, Any]:
        model = perceptron()
        return train(model, classes(), optimizer=sgd(model), clip=1e-6 if faulty else 5.0, steps=240)

    yield "clipping to almost nothing", clipped, "flat_loss small_updates", "clipping, learning rate"


def data() -> Iterator[Row]:
    """Faults of the data and of the loss."""
    for value in (float("nan"), float("inf")):

        def broken(faulty: bool, value: float = value) -> dict[str, Any]:
            x, y = classes()
            if faulty:
                x[200, 7] = value
            return train(perceptron(), (x, y))

        yield f"an input that is {value}", broken, "divergence", "data"

    def target(faulty: bool) -> dict[str, Any]:
        x, y = numbers()
        if faulty:
            y[300] = torch.nan
        return train(perceptron(outputs=1), (x, y), F.mse_loss)

    yield "a target that is nan", target, "divergence", "targets or loss"

    def logarithm(faulty: bool) -> dict[str, Any]:
        x, y = classes()

        def loss(outputs: Tensor, targets: Tensor) -> Tensor:
            shares = outputs.softmax(1)[torch.arange(len(targets)), targets]
            return -torch.log((shares > 0.5) * shares if faulty else shares + 1e-6).mean()

        return train(perceptron(), (x, y), loss)

    yield "a logarithm of zero", logarithm, "divergence", "targets or loss"

    def root(faulty: bool) -> dict[str, Any]:
        x, y = numbers()

        def loss(outputs: Tensor, targets: Tensor) -> Tensor:
            return ((outputs - targets) * (0 if faulty else 1)).square().sum().add(0 if faulty else 1e-6).sqrt() / 8

        return train(perceptron(outputs=1), (x, y), loss)

    yield "a square root of zero", root, "divergence", "targets or loss"

    def huge(faulty: bool) -> dict[str, Any]:
        x, y = numbers()
        model = perceptron(outputs=1)
        return train(model, (x * (1e9 if faulty else 1), y), F.mse_loss, optimizer=sgd(model, 0.01))

    yield "inputs of a billion", huge, "divergence", "data, learning rate"


def wiring() -> Iterator[Row]:
    """Faults of the loop."""
    yield (
        "zero_grad forgotten", lambda faulty: train(perceptron(), classes(), clear=not faulty),
        "accumulated_gradients", "zero_grad",
    )  # fmt: skip
    yield (
        "optimizer.step forgotten", lambda faulty: train(perceptron(), classes(), step=not faulty), "unmeasured", "no step",
    )  # fmt: skip

    def softmax(faulty: bool) -> dict[str, Any]:
        model = perceptron()
        return train(nn.Sequential(model, nn.Softmax(1)) if faulty else model, classes())

    yield "a softmax before the cross entropy", softmax, "double_activation", "loss"

    def sigmoid(faulty: bool) -> dict[str, Any]:
        x, y = classes()
        model = perceptron(outputs=1)
        body = nn.Sequential(model, nn.Sigmoid()) if faulty else model
        return train(body, (x, (y == 0).float()[:, None]), F.binary_cross_entropy_with_logits)

    yield "a sigmoid before a loss with logits", sigmoid, "double_activation", "loss"

    class Cut(nn.Module):
        def __init__(self, cut: bool) -> None:
            super().__init__()
            self.cut, self.body, self.head = cut, perceptron(3, outputs=64), nn.Linear(64, CLASSES)

        def forward(self, x: Tensor) -> Tensor:
            h = torch.relu(self.body(x))
            out: Tensor = self.head(h.detach() if self.cut else h)
            return out

    yield "detach() in the middle", lambda faulty: train(Cut(faulty), classes()), "no_gradient", "graph"

    def partly(faulty: bool) -> dict[str, Any]:
        model = perceptron()
        return train(model, classes(), optimizer=sgd(model[-1] if faulty else model))

    yield "an optimiser of the head alone", partly, "no_update", "optimizer"

    def replaced(faulty: bool) -> dict[str, Any]:
        model = perceptron()
        old = sgd(model)
        model[-1] = nn.Linear(64, CLASSES)
        return train(model, classes(), optimizer=old if faulty else sgd(model))

    yield "a head replaced after the optimiser was made", replaced, "no_update", "optimizer"


def traceless() -> Iterator[Row]:
    """Faults of which the gradient shows nothing."""

    def noise(faulty: bool) -> dict[str, Any]:
        x, y = classes()
        return train(perceptron(), (x, y[torch.randperm(len(y))] if faulty else y))

    yield "labels that are shuffled", noise, "label_noise", "data"

    def in_order(faulty: bool) -> dict[str, Any]:
        x, y = classes()
        order = y.argsort() if faulty else torch.arange(len(y))
        return train(perceptron(), (x[order], y[order]))

    yield "data sorted by class", in_order, "order", "data"

    def frozen(faulty: bool) -> dict[str, Any]:
        model = perceptron()
        model[:4].requires_grad_(not faulty)
        return train(model, classes())

    yield "layers frozen by mistake", frozen, "frozen", "optimizer"
