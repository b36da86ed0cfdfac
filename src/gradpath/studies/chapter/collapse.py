"""Stacked linear layers are one linear layer (C7)."""

from math import log

import torch

from gradpath.model.network import MLP
from gradpath.studies.chapter.full_batch import Trained, train
from gradpath.studies.chapter.study import Conclusion, Study, Table, seeded
from gradpath.studies.pictures.loss_curves import Line, loss_curves

LINEAR = ("data=xor", "activation=identity", "init=orthogonal", "optimizer=adam", "optimizer.lr=0.01")
DEPTHS = (0, 1, 3, 10)
# The rounding error allowed in float64, after as many matrix products as there are layers.
EXACT = 1e-12


def collapse(quick: bool = False) -> Study:
    """Trains linear networks of several depths on XOR, and the one with three hidden layers also with ReLU."""
    seeds, steps = range(2 if quick else 5), 400 if quick else 2000
    stacks = {
        depth: [train(seed, (*LINEAR, f"model.hidden={[8] * depth}".replace(" ", "")), steps) for seed in seeds]
        for depth in DEPTHS
    }
    relu = [train(seed, (*LINEAR, "model.hidden=[8,8,8]", "activation=relu", "init=he_normal"), steps) for seed in seeds]
    gaps = {depth: max(distance_to_product(one.network) for one in many) for depth, many in stacks.items()}
    named = {f"identity, {depth} hidden": many for depth, many in stacks.items()} | {"ReLU, 3 hidden": relu}
    rows = [
        _row(name, many, gaps[depth] if depth is not None else None)
        for (name, many), depth in zip(named.items(), [*DEPTHS, None], strict=True)
    ]
    accuracies = [one.accuracy for many in stacks.values() for one in many]
    ends = [one.losses[-1] for many in stacks.values() for one in many]
    return Study(
        setting=f"{seeded(len(seeds))}, {steps} steps of Adam on the four points of XOR, float64.",
        table=Table(("network", "parameters", "from product", "loss at the end", "accuracy"), rows),
        conclusions=[
            Conclusion(
                "the product W_n ... W_2 W_1 reproduces the deep network",
                f"outputs differ by {max(gaps.values()):.1g} at most",
                max(gaps.values()) < EXACT,
                supports=f"outputs differ from the product's by {max(gaps.values()):.0e} at most",
            ),
            Conclusion(
                "depth does not help a linear network on XOR: it ends at ln 2 and gets three of four points at most",
                f"loss {min(ends):.4f} to {max(ends):.4f} (ln 2 = {log(2):.4f}), accuracy at most {max(accuracies):.0%}",
                max(abs(end - log(2)) for end in ends) < 1e-3 and max(accuracies) <= 0.75,
            ),
            Conclusion(
                "a ReLU between the same layers solves it",
                f"loss {max(one.losses[-1] for one in relu):.2g}, accuracy at least {min(one.accuracy for one in relu):.0%}",
                all(one.accuracy == 1 for one in relu),
            ),
        ],
        figures={
            "collapse": loss_curves(
                [Line(name, [one.losses for one in many]) for name, many in named.items()],
                steps + 1,
                "A stack of linear layers is one linear layer",
                {f"ln 2 = {log(2):.4f}": log(2)},
            )
        },
        captions={
            "collapse": "Loss on XOR: linear networks of any depth come to rest at ln 2, the same shape with ReLU does not."
        },
    )


def distance_to_product(network: MLP) -> float:
    """The largest difference, on random inputs, between the outputs and those of the matrix W_n ... W_1 with its bias."""
    inputs = torch.randn(64, network.linears[0].in_features, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weight, bias = torch.eye(inputs.shape[1], dtype=torch.float64), torch.zeros(inputs.shape[1], dtype=torch.float64)
    for linear in network.linears:
        weight, bias = linear.weight.detach() @ weight, linear.weight.detach() @ bias + linear.bias.detach()
    with torch.no_grad():
        return float((network(inputs) - (inputs @ weight.T + bias)).abs().max())


def _row(name: str, many: list[Trained], gap: float | None) -> tuple[str, ...]:
    ends, network = [one.losses[-1] for one in many], many[0].network
    parameters = sum(parameter.numel() for parameter in network.parameters())
    shown = "" if gap is None else f"{gap:.1g}"
    return name, str(parameters), shown, f"{min(ends):.4f} to {max(ends):.4f}", f"{max(one.accuracy for one in many):.0%}"
