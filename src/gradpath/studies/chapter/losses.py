"""Which loss for which task (C12): the right pairs learn, the wrong ones are refused, and what softmax twice would do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from gradpath.build import build_run
from gradpath.cli import compose
from gradpath.errors import ConfigError
from gradpath.report.style import COLOURS, DASHES, TICK, dress, new_figure
from gradpath.seeding import seed_everything
from gradpath.studies.chapter.full_batch import Curve
from gradpath.studies.chapter.study import Conclusion, Study, Table, difference, percent, seeded
from gradpath.studies.chapter.tuning import MORE, untried
from gradpath.studies.claims.networks import built

DATA = {"regression": "sine", "binary": "xor_noisy", "multiclass": "mnist"}
RIGHT = {"regression": "mse", "binary": "bce_with_logits", "multiclass": "cross_entropy"}
LOSSES = ("mse", "bce_with_logits", "cross_entropy")
SMALL = ("model.hidden=[64]", "optimizer=adam")
# Of three ways to train on classes: the loss, and what is done to the logits before it.
WAYS: dict[str, tuple[str, Callable[[Tensor], Tensor]]] = {
    "cross-entropy of logits": ("cross_entropy", lambda z: z),
    "softmax twice": ("cross_entropy", lambda z: torch.softmax(z, 1)),
    "squared error": ("mse", lambda z: z),
}
# For each way its own, to begin with.
RATES = (0.001, 0.003)


def losses(quick: bool = False) -> Study:
    """Every loss of the chapter on every task; then three ways to train on classes, of which one cannot be typed."""
    said = {(task, loss): refusal(f"data={data}", f"loss={loss}") for task, data in DATA.items() for loss in LOSSES}
    objectives = {task: built(0, f"data={data}", "loss=auto", *SMALL).objective for task, data in DATA.items()}
    chosen = {task: type(objective.criterion).__name__ for task, objective in objectives.items()}
    refused = refusal("data=mnist", "model.output=softmax", "loss=cross_entropy")
    steps, samples, seeds = (60, 256, 2) if quick else (200, 1024, 5)
    ways = {name: trained(*way, steps, samples, seeds, 0 if quick else MORE) for name, way in WAYS.items()}
    once, twice, squared = ways.values()
    behind, slower = difference(once.learnt, twice.learnt), difference(once.learnt, squared.learnt)
    right = [said[task, loss] is None for task, loss in RIGHT.items()]
    wrong = {pair: text for pair, text in said.items() if pair[1] not in (RIGHT[pair[0]], "mse")}
    return Study(
        setting=f"Each pair built as a run would be. Cross-entropy, with a softmax before it, squared error: 784-64-10, "
        f"{samples} digits, {steps} full-batch steps of Adam, each at the learning rate that "
        f"learns most, of 1 and 3 times powers of ten, {seeded(seeds)}.",
        table=Table(("task", *LOSSES), [(task, *(_cell(said[task, loss]) for loss in LOSSES)) for task in DATA]),
        conclusions=[
            Conclusion(
                "the loss follows the data's task: MSE, BCEWithLogits, CrossEntropy",
                ", ".join(f"{task}: {name}" for task, name in chosen.items()),
                all(right) and list(chosen.values()) == ["MSELoss", "BCEWithLogitsLoss", "CrossEntropyLoss"],
            ),
            Conclusion(
                "a loss of another task is refused in one line that names the right one",
                next((text for text in wrong.values() if text), "nothing is refused"),
                all(text is not None and "use loss=auto" in text for text in wrong.values()),
            ),
            Conclusion(
                "softmax before cross-entropy, which is applied twice, is refused",
                refused or "it is not",
                refused is not None and "model.output=none" in refused,
            ),
            Conclusion(
                "forced, it makes the gradient at the outputs fainter, and learning slower",
                f"|dL/dz| at the start {once.first:.3g} and {twice.first:.3g}; training accuracy, mean of all steps, "
                f"{percent(once.learnt)} at {once.rate:g} and {percent(twice.learnt)} at {twice.rate:g}, {behind} apart",
                twice.first < once.first / 2 and behind.low > 0,
                supports=f"on ten classes the mean accuracy of all steps is {behind} higher than with a second softmax",
            ),
            Conclusion(
                "squared error, which trains on classes too, learns slower",
                f"{percent(squared.learnt)} at {squared.rate:g}, {slower} apart from cross-entropy of logits",
                slower.low > 0,
                supports=f"{slower} higher than with squared error",
            ),
        ],
        figures={"losses": draw(ways)},
        captions={"losses": "Accuracy on ten classes by what is made of the logits; bands: lowest to highest seed."},
    )


def refusal(*overrides: str) -> str | None:
    """What a run with these overrides answers instead of beginning; None where it begins."""
    try:
        config, choices = compose(*overrides, *SMALL)
        seed_everything(0)
        build_run(config, choices)
    except ConfigError as error:
        return str(error)
    return None


@dataclass(frozen=True)
class Way:
    """Trained at one rate. first: |dL/dz| at the start, z the last layer's outputs, mean over seeds. accuracies: on what is
    trained on, before each step, (seeds, steps)."""

    rate: float
    first: float
    accuracies: Curve

    @property
    def learnt(self) -> list[float]:
        """The mean over all steps, a number per seed."""
        means: list[float] = self.accuracies.mean(1).tolist()
        return means


def trained(loss: str, before: Callable[[Tensor], Tensor], steps: int, samples: int, seeds: int, more: int) -> Way:
    """At the rate that has learnt most, of RATES and, `more` times, of those next to it."""
    ways = {rate: train(loss, before, rate, steps, samples, seeds) for rate in RATES}
    for _ in range(more):
        ways |= {rate: train(loss, before, rate, steps, samples, seeds) for rate in untried(_best(ways), list(ways))}
    return ways[_best(ways)]


def _best(ways: Mapping[float, Way]) -> float:
    return max(ways, key=lambda rate: fmean(ways[rate].learnt))


def train(loss: str, before: Callable[[Tensor], Tensor], rate: float, steps: int, samples: int, seeds: int) -> Way:
    """Full-batch training with a loss of what `before` makes of the outputs."""
    found = [_train(loss, before, rate, steps, samples, seed) for seed in range(seeds)]
    return Way(rate, fmean(first for first, _ in found), np.array([accuracies for _, accuracies in found]))


def _train(
    loss: str, before: Callable[[Tensor], Tensor], rate: float, steps: int, samples: int, seed: int
) -> tuple[float, list[float]]:
    typed = ("data=mnist", f"loss={loss}", *SMALL, f"optimizer.lr={rate:g}")
    data, network, objective, make_optimizer = built(seed, *typed)
    (inputs, targets), network = data.sample(samples), network.double()
    inputs, optimizer, accuracies, first = inputs.double(), make_optimizer(network.parameters()), [], 0.0
    for step in range(steps):
        z = network(inputs)
        z.retain_grad()
        optimizer.zero_grad()
        objective.loss(before(z), targets).backward()  # type: ignore[no-untyped-call]
        if step == 0 and z.grad is not None:
            first = float(z.grad.norm())
        optimizer.step()
        accuracies.append(float(objective.score(z.detach(), targets)))
    return first, accuracies


def draw(ways: Mapping[str, Way]) -> Figure:
    figure = new_figure("Three ways to train on ten classes")
    axes = figure.subplots()
    for (label, way), colour, dashes in zip(ways.items(), COLOURS, DASHES, strict=False):
        many, at = 100 * way.accuracies, np.arange(1, way.accuracies.shape[1] + 1)
        axes.plot(at, many.mean(0), color=colour, linestyle=dashes, linewidth=2.8, label=f"{label}, rate {way.rate:g}")
        axes.fill_between(at, many.min(0), many.max(0), color=colour, alpha=0.2)
    dress(axes, "step", "training accuracy in %", xscale="log")
    figure.legend(fontsize=TICK, loc="outside lower center", ncols=1, frameon=False)
    return figure


def _cell(said: str | None) -> str:
    return "trains" if said is None else "refused"
