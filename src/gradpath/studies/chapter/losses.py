"""Which loss for which task (C12): the right pairs learn, the wrong ones are refused, and what softmax twice would do."""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from gradpath.build import build_run
from gradpath.cli import compose
from gradpath.errors import ConfigError
from gradpath.report.style import COLOURS, TICK, dress, new_figure
from gradpath.seeding import seed_everything
from gradpath.studies.chapter.full_batch import Curve
from gradpath.studies.chapter.study import Conclusion, Study, Table, seeded
from gradpath.studies.claims.networks import built

DATA = {"regression": "sine", "binary": "xor_noisy", "multiclass": "mnist"}
RIGHT = {"regression": "mse", "binary": "bce_with_logits", "multiclass": "cross_entropy"}
LOSSES = ("mse", "bce_with_logits", "cross_entropy")
SMALL = ("model.hidden=[64]", "optimizer=adam", "optimizer.lr=0.01")
TWICE = ("data=mnist", "loss=cross_entropy", *SMALL)


def losses(quick: bool = False) -> Study:
    """Every loss of the chapter on every task; then cross-entropy with a softmax before it, which cannot be typed."""
    said = {(task, loss): refusal(f"data={data}", f"loss={loss}") for task, data in DATA.items() for loss in LOSSES}
    objectives = {task: built(0, f"data={data}", "loss=auto", *SMALL).objective for task, data in DATA.items()}
    chosen = {task: type(objective.criterion).__name__ for task, objective in objectives.items()}
    refused = refusal("data=mnist", "model.output=softmax", "loss=cross_entropy")
    steps, samples, seeds = (40, 256, 1) if quick else (200, 1024, 3)
    once, twice = (softmax_before(before, steps, samples, range(seeds)) for before in (False, True))
    right = [said[task, loss] is None for task, loss in RIGHT.items()]
    wrong = {pair: text for pair, text in said.items() if pair[1] not in (RIGHT[pair[0]], "mse")}
    return Study(
        setting=f"Each pair built as a run would be; cross-entropy with and without softmax before it: 784-64-10, "
        f"{samples} digits, {steps} full-batch steps of Adam, mean of {seeded(seeds)}.",
        table=Table(("task", *LOSSES), [(task, *(_cell(said[task, loss]) for loss in LOSSES)) for task in DATA]),
        conclusions=[
            Conclusion(
                "the loss follows the data's task: MSE, BCEWithLogits, CrossEntropy",
                ", ".join(f"{task}: {name}" for task, name in chosen.items()),
                all(right) and list(chosen.values()) == ["MSELoss", "BCEWithLogitsLoss", "CrossEntropyLoss"],
            ),
            Conclusion(
                "a loss of another task is refused in one line that names the right one",
                next(text for text in wrong.values() if text),
                all(text is not None and "use loss=auto" in text for text in wrong.values()),
            ),
            Conclusion(
                "softmax before cross-entropy is refused: applied twice it flattens the gradient and slows learning",
                f"{refused} Forced, |dL/dz| at the start falls from {once[0]:.3g} to {twice[0]:.3g}, the loss ends at "
                f"{twice[1][-1]:.2g} instead of {once[1][-1]:.2g}",
                refused is not None and twice[0] < once[0] / 2 and twice[1][-1] > 2 * once[1][-1],
            ),
        ],
        figures={"losses": draw(once[1], twice[1])},
        captions={"losses": "Loss on digits: logits into cross-entropy, and probabilities into it (softmax twice)."},
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


def softmax_before(before: bool, steps: int, samples: int, seeds: Sequence[int]) -> tuple[float, Curve]:
    """|dL/dz| of a batch at the start, z the last layer's outputs, and the loss before each step: means over seeds."""
    found = [_softmax_before(before, steps, samples, seed) for seed in seeds]
    return float(np.mean([first for first, _ in found])), np.mean([losses for _, losses in found], axis=0)


def _softmax_before(before: bool, steps: int, samples: int, seed: int) -> tuple[float, list[float]]:
    data, network, _, make_optimizer = built(seed, *TWICE)
    (inputs, targets), network = data.sample(samples), network.double()
    optimizer, found, first = make_optimizer(network.parameters()), [], 0.0
    for step in range(steps):
        z = network(inputs.double())
        z.retain_grad()
        loss = nn.functional.cross_entropy(torch.softmax(z, 1) if before else z, targets)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if step == 0 and z.grad is not None:
            first = float(z.grad.norm())
        optimizer.step()
        found.append(loss.item())
    return first, found


def draw(once: Curve, twice: Curve) -> Figure:
    figure = new_figure("Cross-entropy takes logits")
    axes = figure.subplots()
    for label, curve, colour in (("logits", once, COLOURS[0]), ("probabilities: softmax twice", twice, COLOURS[1])):
        axes.plot(np.arange(1, len(curve) + 1), curve, color=colour, linewidth=2.8, label=label)
    floor = float(np.log(1 + 9 * np.exp(-1)))
    axes.axhline(floor, color="black", linestyle=":", linewidth=2, label=f"the lowest for softmax twice: {floor:.3f}")
    dress(axes, "step", "training loss", xscale="log", yscale="log")
    figure.legend(fontsize=TICK, loc="outside lower center", ncols=1, frameon=False)
    return figure


def _cell(said: str | None) -> str:
    return "trains" if said is None else "refused"
