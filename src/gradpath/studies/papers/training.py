"""Claims about training."""

import io
import tempfile
from contextlib import redirect_stderr
from math import nan

import torch
from torch import Tensor, nn

from gradpath.data.batch import Batch
from gradpath.model.network import MLP
from gradpath.studies.papers.claim import Check, Claim
from gradpath.studies.papers.networks import built, descend, gaussian, inner_product
from gradpath.studies.trainings import train_all
from gradpath.verdict.probing import probe

# Pixels of MNIST are shifted to [-.5, .5]; training takes 200 steps of plain SGD.
MNIST = ("data.mean=0.5", "data.std=1", "data.batch_size=256", "trainer.limit_train_batches=200", "trainer.max_epochs=1")
SGD = ("optimizer=sgd", "optimizer.lr=0.001", "schedule=constant", "probe=none", "trainer=cpu")
# Gradients above, at and below Adam's epsilon, 1e-8.
GRADIENTS = (1e-4, 1e-6, 1e-8, 1e-10)


def trainable_depth() -> Claim:
    """Depth 60 trains at the edge of chaos (Schoenholz et al. 2016, fig. 5).

    Depth 40 does not train in the ordered phase, nor depth 50 in the chaotic one.
    """
    settings = {"critical": (1.775, 60), "ordered": (1.0, 40), "chaotic": (4.0, 50)}
    cells = {
        name: (
            "model=deep",
            "model.width=300",
            f"model.depth={depth}",
            "activation=tanh",
            *gaussian(sigma_w2, 0.05),
            *MNIST,
            *SGD,
        )
        for name, (sigma_w2, depth) in settings.items()
    }
    # The absolute path lies outside logs/studies, so these runs are not kept, and are trained each time.
    with tempfile.TemporaryDirectory() as folder, redirect_stderr(io.StringIO()):
        accuracy = {name: run["metrics"].get("test/accuracy", nan) for name, run in train_all(folder, cells).items()}
    checks = [
        Check("critical, L=60: accuracy", 0.5, accuracy["critical"], kind="at least"),
        Check("ordered, L=40: accuracy", 0.2, accuracy["ordered"], kind="at most"),
        Check("chaotic, L=50: accuracy", 0.2, accuracy["chaotic"], kind="at most"),
    ]
    return Claim(3, "Schoenholz 2016", "networks train as deep as a signal travels, deepest at the edge of chaos", checks)


def symmetry() -> Claim:
    """Units that start alike stay alike (Rumelhart et al. 1986)."""
    checks = []
    for activation in ("tanh", "relu"):
        network, before = _trained_alike(activation, "zeros")
        moved = [(p.detach() - b).abs().max().item() for p, b in zip(network.parameters(), before, strict=True)]
        checks.append(Check(f"{activation}, zeros: weights", 0.0, max(moved[:-1]), 1e-6))
        checks.append(Check(f"{activation}, zeros: last bias", 1e-3, moved[-1], kind="at least"))
        network, before = _trained_alike(activation, "constant")
        singular = torch.linalg.svdvals(network.linears[0].weight.detach().double())
        change = (network.linears[0].weight.detach() - before[0]).abs().max().item()
        checks.append(Check(f"{activation}, constant: s_2/s_1", 0.0, (singular[1] / singular[0]).item(), 1e-6))
        checks.append(Check(f"{activation}, constant: W^1 moves", 1e-3, change, kind="at least"))
    return Claim(17, "Rumelhart 1986", "training does not break the symmetry of equal weights", checks)


def adam_below_epsilon() -> Claim:
    """Adam's first step is eta g / (|g| + eps): the size of g does not matter until it comes near eps (Kingma & Ba 2014)."""
    checks = []
    for g in GRADIENTS:
        step = _first_step(g, "optimizer=adam")
        checks.append(Check(f"Adam, g = {g:g}: step / eta", g / (g + 1e-8), step, 1e-4, relative=True))
    for g in GRADIENTS:
        step = _first_step(g, "optimizer=sgd")
        checks.append(Check(f"SGD, g = {g:g}: step / eta", g, step, 1e-4, relative=True))
    return Claim(18, "Kingma 2014", "Adam hides a vanishing gradient until it is smaller than epsilon", checks)


def _first_step(gradient: float, optimizer: str) -> float:
    """|Delta w| / eta of one weight whose gradient is `gradient`, as the probe measures it."""
    network = MLP(1, [], 1).double()
    nn.init.ones_(network.linears[0].weight)
    made = built(0, "data=gaussian", "model=perceptron", optimizer).make_optimizer(network.parameters())
    one = torch.ones(1, 1, dtype=torch.float64)
    with probe(network) as p:
        descend(network, inner_product(1), made, Batch(one, gradient * one), steps=1)
    (ratio,) = p.record.matrix("update_ratio")[0]
    return float(ratio) / float(made.param_groups[0]["lr"])


def _trained_alike(activation: str, init: str) -> tuple[MLP, list[Tensor]]:
    """A network of three hidden layers after 20 steps of SGD, and its parameters before the first step."""
    overrides = ("data=gaussian", "data.features=20", "model=deep", "model.depth=3", "model.width=16", "optimizer=sgd")
    data, network, objective, make_optimizer = built(0, *overrides, f"activation={activation}", f"init={init}")
    before = [parameter.detach().clone() for parameter in network.parameters()]
    descend(network, objective, make_optimizer(network.parameters()), data.sample(64), steps=20)
    return network, before
