"""Units that start alike stay alike (C11): the rank of a hidden weight matrix through training, by initialisation."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradpath.config.composition import CONF
from gradpath.model.network import MLP
from gradpath.studies.chapter.full_batch import Trained, train
from gradpath.studies.chapter.study import Conclusion, Study, Table, percent, seeded
from gradpath.studies.pictures.style import COLOURS, TICK, dress, new_figure

MNIST = (
    "data=mnist",
    "model=deep",
    "model.depth=3",
    "model.width=32",
    "activation=tanh",
    "optimizer=adam",
    "optimizer.lr=0.01",
)
SAMPLES = 256
# Singular values below this share of the largest are rounding error. Rows count as equal if their distance is below this
# share of the longest row.
TINY = 1e-5
ALIKE = ("zeros", "constant")


def symmetry(quick: bool = False) -> Study:
    """Trains a network with every option of the `init` group, full-batch, on the first digits of MNIST."""
    inits, steps = sorted(path.stem for path in (CONF / "init").glob("*.yaml")), 30 if quick else 150
    films = sorted({*np.unique(np.geomspace(1, steps, 12).astype(int)).tolist(), 0, steps})
    seeds = range(1 if quick else 3)
    trained = {init: [train(seed, (*MNIST, f"init={init}"), steps, SAMPLES, films) for seed in seeds] for init in inits}
    ranks = {init: lowest_ranks(many) for init, many in trained.items()}
    others = [init for init in inits if init not in ALIKE]
    moved = [
        float((p - q).detach().abs().max())
        for p, q in zip(*(trained["zeros"][0].films[at].parameters() for at in (0, steps)), strict=True)
    ]
    lowest = [min(ranks[init].values()) for init in others]
    learnt = min(one.accuracy for init in others for one in trained[init])
    stuck = max(one.accuracy for init in ALIKE for one in trained[init])
    return Study(
        setting=f"784-32-32-32-10, tanh, {SAMPLES} digits, {steps} full-batch steps of Adam, "
        f"{seeded(len(seeds))}. Rank: singular values of W2 above {TINY:g} of the largest; units: rows of W2 that differ; "
        "of both the lowest of any seed.",
        table=Table(
            ("init", "rank 0", f"rank {steps}", "units 0", f"units {steps}", "loss", "accuracy"),
            [_row(init, many, ranks[init], steps) for init, many in trained.items()],
        ),
        conclusions=[
            Conclusion(
                "with all weights equal every unit of a layer stays the same: rank at most 1 after training",
                ", ".join(f"{init}: rank {ranks[init][steps]}, {distinct(trained[init][0].network)} unit" for init in ALIKE),
                all(ranks[init][steps] <= 1 and distinct(one.network) == 1 for init in ALIKE for one in trained[init]),
                supports=f"with equal weights the rank of 32 units is {max(ranks[init][steps] for init in ALIKE)} at most",
            ),
            Conclusion(
                "with zeros nothing but the last bias ever moves",
                f"weights and other biases move by {max(moved[:-1]):g}, the last bias by {moved[-1]:.2g}",
                max(moved[:-1]) == 0 and moved[-1] > 0,
            ),
            Conclusion(
                "every random scheme has full rank from the start, keeps it and learns",
                f"ranks {min(lowest)} to 32, accuracy at least {learnt:.0%}, against {stuck:.0%}",
                min(lowest) == 32 and learnt > stuck,
                supports=f"with Xavier's, He's and every other random scheme it is {min(lowest)}",
            ),
        ],
        figures={"symmetry": draw(ranks, trained, steps)},
        captions={
            "symmetry": "Rank of the second weight matrix (left) and loss (right) through training, by initialisation."
        },
    )


def lowest_ranks(many: Sequence[Trained]) -> dict[int, int]:
    """Step -> the lowest `rank` of any seed, for each step at which the network was kept."""
    return {step: min(rank(one.films[step]) for one in many) for step in many[0].films}


def rank(network: MLP) -> int:
    """The rank of the second layer's weight matrix; 0 if all its weights are 0."""
    values = torch.linalg.svdvals(network.linears[1].weight.detach())
    return int((values > TINY * values[0]).sum()) if values[0] > 0 else 0


def distinct(network: MLP) -> int:
    """The number of units in the second layer that have different incoming weights."""
    weight = network.linears[1].weight.detach()
    near = torch.cdist(weight, weight) <= TINY * weight.norm(dim=1).max()
    return len(torch.unique(near, dim=0))


def draw(ranks: dict[str, dict[int, int]], trained: dict[str, list[Trained]], steps: int) -> Figure:
    figure = new_figure("Equal weights stay equal", 10.0, 5.2)
    left, right = figure.subplots(1, 2)
    random = [init for init in ranks if init not in ALIKE]
    for init, colour in zip(ALIKE, COLOURS[1:], strict=False):
        _lines(left, right, ranks[init], trained[init][0].losses, colour, init, 3.2)
    for k, init in enumerate(random):
        label = f"{len(random)} random schemes" if k == 0 else None
        _lines(left, right, ranks[init], trained[init][0].losses, COLOURS[0], label, 1.3)
    dress(left, "step", "rank of W2 (32 units)", xscale="symlog", xlim=(0, steps), ylim=(-1, 34))
    dress(right, "step", "training loss", xscale="symlog", xlim=(0, steps), yscale="log")
    handles, names = left.get_legend_handles_labels()
    figure.legend(handles, names, fontsize=TICK, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _lines(
    left: Axes,
    right: Axes,
    ranks: dict[int, int],
    losses: npt.NDArray[np.float64],
    colour: str,
    label: str | None,
    width: float,
) -> None:
    left.plot(list(ranks), list(ranks.values()), color=colour, linewidth=width, label=label, marker="o", markersize=4)
    right.plot(losses, color=colour, linewidth=width)


def _row(init: str, many: Sequence[Trained], ranks: dict[int, int], steps: int) -> tuple[str, ...]:
    units = [str(min(distinct(one.films[at]) for one in many)) for at in (0, steps)]
    loss, accuracies = float(np.mean([one.losses[-1] for one in many])), [one.accuracy for one in many]
    return init, str(ranks[0]), str(ranks[steps]), *units, f"{loss:.3g}", percent(accuracies)
