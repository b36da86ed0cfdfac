"""Training programs with faults that others have described, each with a healthy twin: what the verdict says of them.

The faults are those of public collections: threads as gathered by Humbatova et al. 2020 ("Taxonomy of real faults in deep
learning systems"), Wardat et al. 2021 (DeepLocalize) and Cao et al. 2022 (DeepFD), and what PyTorch's forum answers over and
over. The programs are written anew. Some faults leave no trace in the gradient (labels that are wrong, data in their order,
parts that are frozen): they are counted too.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradpath.verdict.probing import probe

SAMPLES, FEATURES, CLASSES, BATCH = 512, 20, 3, 64
Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Program:
    """A program that is run with its fault and without it.

    train: from whether it is faulty to the verdict. kinds, causes: findings and causes that name the fault.
    """

    name: str
    train: Callable[[bool], dict[str, Any]]
    kinds: frozenset[str]
    causes: frozenset[str]


@dataclass(frozen=True)
class Outcome:
    """What the verdict said of a program: of its faulty form, and of its healthy twin."""

    program: Program
    faulty: dict[str, Any]
    healthy: dict[str, Any]

    @property
    def found(self) -> bool:
        """Whether the first finding is an accepted one. A loop in which nothing could be measured says so."""
        return bool(self.said & self.program.kinds)

    @property
    def named(self) -> bool:
        """Whether one of the findings names an accepted cause."""
        return self.found and bool(self.because & self.program.causes)

    @property
    def accused(self) -> bool:
        """Whether the healthy twin has a finding."""
        return bool(self.healthy["findings"] or self.healthy["unmeasured"])

    @property
    def said(self) -> set[str]:
        return {finding["kind"] for finding in self.faulty["findings"]} | (
            {"unmeasured"} if self.faulty["unmeasured"] else set()
        )

    @property
    def because(self) -> set[str]:
        return {finding["cause"] for finding in self.faulty["findings"]} | (
            {"no step"} if self.faulty["unmeasured"] else set()
        )


def outcome(program: Program) -> Outcome:
    """Runs a program in both forms."""
    return Outcome(program, program.train(True), program.train(False))


def table(outcomes: list[Outcome]) -> Iterator[str]:
    """Yields the outcomes in Markdown."""
    yield "| fault | found | named | said | healthy twin |\n|---|---|---|---|---|"
    for one in outcomes:
        said = (
            ", ".join(f"{f['kind']} ({f['cause']})" for f in one.faulty["findings"]) or one.faulty["unmeasured"] or "nothing"
        )
        marks = " | ".join("yes" if fact else "no" for fact in (one.found, one.named))
        twin = ", ".join(finding["kind"] for finding in one.healthy["findings"]) or "nothing"
        yield f"| {one.program.name} | {marks} | {said} | {twin} |"
    count = len(outcomes)
    for word, number in (("found", sum(one.found for one in outcomes)), ("named right", sum(one.named for one in outcomes)),
                         ("healthy twins accused", sum(one.accused for one in outcomes))):  # fmt: skip
        yield f"\n{word}: {number} of {count} ({number / count:.0%})"


def perceptron(
    depth: int = 3,
    width: int = 64,
    activation: Callable[[], nn.Module] = nn.ReLU,
    std: float | None = None,
    outputs: int = CLASSES,
) -> nn.Sequential:
    """Hidden layers with He's initialisation, or with normal weights of a given deviation."""
    torch.manual_seed(0)
    parts: list[nn.Module] = []
    for index in range(depth):
        layer = nn.Linear(width if index else FEATURES, width)
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu") if std is None else nn.init.normal_(layer.weight, std=std)
        nn.init.zeros_(layer.bias)
        parts += [layer, activation()]
    return nn.Sequential(*parts, nn.Linear(width, outputs))


def classes() -> tuple[Tensor, Tensor]:
    """Inputs, and the class that a linear teacher gives them."""
    torch.manual_seed(1)
    x = torch.randn(SAMPLES, FEATURES)
    return x, (x @ torch.randn(FEATURES, CLASSES)).argmax(1)


def numbers() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    x = torch.randn(SAMPLES, FEATURES)
    return x, torch.tanh(x @ torch.randn(FEATURES, 1) / FEATURES**0.5)


def train(
    model: nn.Module,
    data: tuple[Tensor, Tensor],
    loss: Loss = F.cross_entropy,
    *,
    optimizer: torch.optim.Optimizer | None = None,
    steps: int = 60,
    clear: bool = True,
    step: bool = True,
    clip: float | None = None,
) -> dict[str, Any]:
    """A plain training loop with the probe around it. Returns the verdict."""
    optimizer = optimizer or torch.optim.Adam(model.parameters(), lr=1e-3)
    x, y = data
    with probe(model) as p:
        for index in range(steps):
            rows = slice(BATCH * (index % (len(x) // BATCH)), BATCH * (index % (len(x) // BATCH)) + BATCH)
            if clear:
                optimizer.zero_grad()
            value: Any = loss(model(x[rows]), y[rows])
            value.backward()
            if clip is not None:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            if step:
                optimizer.step()
    return p.verdict()


def sgd(model: nn.Module, lr: float = 0.05, **options: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=lr, **options)


def programs() -> list[Program]:
    """All programs, each with the findings and the causes that are accepted."""
    return [
        Program(name, train, frozenset(kinds.split()), frozenset(causes.split(", ")))
        for name, train, kinds, causes in (*_networks(), *_rates(), *_data(), *_wiring(), *_traceless())
    ]


Row = tuple[str, Callable[[bool], dict[str, Any]], str, str]


def _networks() -> Iterator[Row]:
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
        "vanishing", scale,
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


def _rates() -> Iterator[Row]:
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


def _data() -> Iterator[Row]:
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


def _wiring() -> Iterator[Row]:
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


def _traceless() -> Iterator[Row]:
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
