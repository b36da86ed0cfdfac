"""Which loss for which task? (C12)

The right pairs train. The wrong ones are refused, except squared error. Its cost is measured, and that of a second
softmax.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import fmean

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gradpath.config.composition import compose
from gradpath.errors import ConfigError
from gradpath.run.build import build_run
from gradpath.run.seeding import seed_everything
from gradpath.studies import trainings
from gradpath.studies.chapter.softmax_twice import WAYS, Way, trained
from gradpath.studies.chapter.study import Conclusion, Difference, Study, Table, difference, jointly, percent, seeded
from gradpath.studies.chapter.tuning import MORE, Tuned, how, tuned
from gradpath.studies.papers.networks import built
from gradpath.studies.pictures.style import COLOURS, DASHES, TICK, dress, new_figure

DATA = {"regression": "sine", "binary": "xor_noisy", "multiclass": "mnist"}
RIGHT = {"regression": "mse", "binary": "bce_with_logits", "multiclass": "cross_entropy"}
LOSSES = ("mse", "bce_with_logits", "cross_entropy")
SMALL = ("model.hidden=[64]", "optimizer=adam")
# Overrides of the runs with ten classes, and with two classes that overlap.
TEN = (*trainings.ONE_EPOCH, "data=mnist", *SMALL)
TWO = (*trainings.ONE_EPOCH, "data=xor_noisy", "data.noise=0.3", "data.samples=40000", "data.batch_size=64", *SMALL)
# The losses compared on two classes: BCEWithLogits, and squared error of the output z or of sigmoid(z).
PAIR = {
    "bce_with_logits": ("loss=bce_with_logits",),
    "mse": ("loss=mse",),
    "mse_sigmoid": ("loss=mse", "model.output=sigmoid"),
}
# The initialisation is a nuisance parameter, too: squared error on ten classes learns far less with He's.
INITS = ("pytorch", "he_normal")
RATES = (0.001, 0.003)
# Losses of one point with target 1: the option of the group `loss`, and the function applied to the output z before it.
POINT: dict[str, tuple[str, Callable[[Tensor], Tensor]]] = {
    "BCEWithLogits": ("bce_with_logits", lambda z: z),
    "squared error of sigmoid(z)": ("mse", torch.sigmoid),
    "squared error of z": ("mse", lambda z: z),
}
# A confidently wrong output: it gives the true class a probability of 1 in 400.
WRONG = -6.0


@dataclass(frozen=True)
class Compared:
    """Squared error beside the loss that belongs to the task.

    ten: loss -> its runs on ten classes, with the initialisation of INITS that validates better.
    two: name in PAIR -> its runs on two classes.
    by_init: initialisation -> the runs with squared error on ten classes.
    spread: initialisation -> the standard deviation of the outputs on ten classes before training.
    """

    ten: Mapping[str, Tuned]
    two: Mapping[str, Tuned]
    by_init: Mapping[str, Tuned]
    spread: Mapping[str, float]

    def apart(self, task: str, other: str = "mse") -> Difference:
        """The test accuracy of the task's own loss minus that of `other`. `task`: "multiclass" or "binary"."""
        arms = self.ten if task == "multiclass" else self.two
        return difference(arms[RIGHT[task]].tests, arms[other].tests)


def losses(quick: bool = False) -> Study:
    """Tries every loss of the chapter on every task, and measures what the wrong ones that can be trained cost."""
    said = {(task, loss): refusal(f"data={data}", f"loss={loss}") for task, data in DATA.items() for loss in LOSSES}
    seeds = 1 if quick else 3
    found = compared(quick, seeds)
    steps, samples, softmaxes = (60, 256, 5) if quick else (100, 1024, 5)
    ways = {name: trained(way, steps, samples, softmaxes, 0 if quick else MORE) for name, way in WAYS.items()}
    at = torch.linspace(-8, 8, 321, dtype=torch.float64)
    gradients = {name: gradient(name, at) for name in POINT}
    cells = {("multiclass", loss): one for loss, one in found.ten.items()}
    cells |= {("binary", loss): one for loss, one in found.two.items()}
    return Study(
        setting="Each pair built as a run would be; mse: of the outputs z themselves. Test accuracy: one hidden layer of "
        f"64, Adam, an epoch of MNIST with init={' or '.join(INITS)}, whichever validates better, and of 40,000 points "
        f"around the corners of XOR (data.noise=0.3: 91 % at best); {how(seeds, quick)}. Softmax once and twice: "
        f"{samples} digits, {steps} full-batch steps of Adam, each at the rate that learns most, {seeded(softmaxes)}.",
        table=Table(
            ("task", *LOSSES),
            [(task, *(_cell(said[task, loss], cells.get((task, loss))) for loss in LOSSES)) for task in DATA],
        ),
        conclusions=[*_of_the_pairs(said), _of_softmax(*ways.values()), _of_a_point(), *_of_squared_error(found)],
        figures={"losses": draw(gradients, at, ways)},
        captions={
            "losses": "Left: the gradient that one point with target 1 sends back, by its output z. Right: accuracy on ten "
            "classes with the softmax applied once and twice; bands: lowest to highest seed."
        },
    )


def compared(quick: bool, seeds: int) -> Compared:
    """Trains each loss on ten classes, with both initialisations, and on two classes."""
    ten = (*TEN, "data.limit=12800") if quick else TEN
    arms = {
        f"{loss}_{init}": (*ten, f"loss={loss}", f"init={init}") for loss in ("mse", RIGHT["multiclass"]) for init in INITS
    }
    arms |= {f"{name}_two": (*TWO, *typed) for name, typed in PAIR.items()}
    place = "losses" + ("_quick" if quick else "")
    found = tuned(place, arms, dict.fromkeys(arms, RATES), seeds, more=0 if quick else MORE)

    def better(loss: str) -> Tuned:
        return max((found[f"{loss}_{init}"] for init in INITS), key=lambda one: fmean(one.validation[one.rate]))

    return Compared(
        {loss: better(loss) for loss in ("mse", RIGHT["multiclass"])},
        {name: found[f"{name}_two"] for name in PAIR},
        {init: found[f"mse_{init}"] for init in INITS},
        {init: spread((*ten, f"init={init}")) for init in INITS},
    )


def refusal(*overrides: str) -> str | None:
    """The error message with which a run with these overrides is refused; None if it is not."""
    try:
        config, choices = compose(*overrides, *SMALL)
        seed_everything(0)
        build_run(config, choices)
    except ConfigError as error:
        return str(error)
    return None


def gradient(name: str, at: Tensor) -> Tensor:
    """|dL/dz| of one point with target 1, (points,), for each output z in `at` (points,). `name`: a key of POINT."""
    loss, before = POINT[name]
    objective = built(0, "data=xor_noisy", f"loss={loss}").objective
    z = at.clone().requires_grad_()
    # The objective is a mean over the points. Times their number, it is the sum of the single points' losses.
    total = len(z) * objective.loss(before(z)[:, None], torch.ones(len(z), dtype=torch.long))
    return torch.autograd.grad(total, z)[0].abs()


@torch.no_grad()
def spread(overrides: tuple[str, ...]) -> float:
    """The standard deviation of the outputs before training."""
    data, network, _, _ = built(0, *overrides)
    return float(network(data.sample(1024).inputs).std())


def _of_the_pairs(said: Mapping[tuple[str, str], str | None]) -> list[Conclusion]:
    objectives = {task: built(0, f"data={data}", "loss=auto", *SMALL).objective for task, data in DATA.items()}
    chosen = {task: type(objective.criterion).__name__ for task, objective in objectives.items()}
    right = [said[task, loss] is None for task, loss in RIGHT.items()]
    wrong = {pair: text for pair, text in said.items() if pair[1] not in (RIGHT[pair[0]], "mse")}
    refused = refusal("data=mnist", "model.output=softmax", "loss=cross_entropy")
    return [
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
    ]


def _of_softmax(once: Way, twice: Way) -> Conclusion:
    behind = difference(once.learnt, twice.learnt)
    return Conclusion(
        "forced, it makes the gradient at the outputs fainter, and learning slower",
        f"|dL/dz| at the start {once.first:.3g} and {twice.first:.3g}; training accuracy, mean of all steps, "
        f"{percent(once.learnt)} at {once.rate:g} and {percent(twice.learnt)} at {twice.rate:g}, {behind} apart",
        twice.first < once.first / 2 and behind.above(),
        supports=f"on ten classes the mean training accuracy of all steps is {behind} higher with one softmax than with two",
        unshown=f"the training accuracies with one softmax and with two are {behind} apart",
    )


def _of_a_point() -> Conclusion:
    bce, behind_sigmoid, plain = (float(gradient(name, torch.tensor([WRONG], dtype=torch.float64))) for name in POINT)
    return Conclusion(
        "a point that is confidently wrong sends its gradient back through BCEWithLogits; a sigmoid and squared error take "
        "it away",
        f"|dL/dz| at z = {WRONG:g} with target 1: BCEWithLogits {bce:.3g}, squared error of sigmoid(z) "
        f"{behind_sigmoid:.2g}, of z {plain:.3g}",
        bce > 0.99 and behind_sigmoid < 0.01,
        supports=f"a point that is confidently wrong (z = {WRONG:g}, target 1) sends back a gradient of {bce:.3g} through "
        f"BCEWithLogits, {behind_sigmoid:.2g} through a sigmoid and squared error",
    )


def _of_squared_error(found: Compared) -> list[Conclusion]:
    ten, two, behind_sigmoid = found.apart("multiclass"), found.apart("binary"), found.apart("binary", "mse_sigmoid")
    gained = difference(*(found.by_init[init].tests for init in INITS))
    return [
        Conclusion(
            "on ten classes cross-entropy tests better than squared error of the outputs",
            f"each at its best initialisation and rate {ten} apart",
            ten.above(),
            supports=f"on ten classes cross-entropy tests {ten} better than squared error of the outputs",
            unshown=f"on ten classes cross-entropy tests {ten} beside squared error of the outputs",
        ),
        Conclusion(
            "on two classes squared error, of z or behind a sigmoid, tests within a point of BCEWithLogits",
            f"BCEWithLogits less squared error of z {two}, of sigmoid(z) {behind_sigmoid}",
            jointly(one.within(0.01) for one in (two, behind_sigmoid)),
        ),
        Conclusion(
            "on ten classes squared error minds the initialisation: with he_normal, whose outputs start wider than its "
            "targets, it tests worse than with pytorch",
            "; ".join(
                f"{init}: outputs of standard deviation {found.spread[init]:.2g} (targets 0.3), test accuracy "
                f"{percent(one.tests)} at {one.rate:g}"
                for init, one in found.by_init.items()
            )
            + f"; {gained} apart",
            found.spread[INITS[0]] < found.spread[INITS[1]] / 2 and gained.above(),
        ),
    ]


def draw(gradients: Mapping[str, Tensor], at: Tensor, ways: Mapping[str, Way]) -> Figure:
    figure = new_figure("The right loss, and the wrong one", 12.0, 5.2)
    point, classes = figure.subplots(1, 2)
    for (label, one), colour, dashes in zip(gradients.items(), COLOURS, DASHES, strict=False):
        point.plot(at.numpy(), one.numpy(), color=colour, linestyle=dashes, linewidth=2.8, label=label)
    dress(point, "output z (target 1)", "|dL/dz|", "one point, two classes", yscale="log", ylim=(2e-6, 30))
    draw_ways(classes, ways)
    for axes in (point, classes):
        axes.legend(fontsize=TICK, frameon=False, loc="lower left" if axes is point else "lower right")
    return figure


def draw_ways(axes: Axes, ways: Mapping[str, Way]) -> None:
    for (label, way), colour, dashes in zip(ways.items(), COLOURS, DASHES, strict=False):
        many, at = 100 * way.accuracies, range(1, way.accuracies.shape[1] + 1)
        axes.plot(at, many.mean(0), color=colour, linestyle=dashes, linewidth=2.8, label=f"{label}, rate {way.rate:g}")
        axes.fill_between(at, many.min(0), many.max(0), color=colour, alpha=0.2)
    dress(axes, "step", "training accuracy in %", "ten classes", xscale="log")


def _cell(said: str | None, trained: Tuned | None) -> str:
    return "refused" if said else percent(trained.tests) if trained else "trains"
