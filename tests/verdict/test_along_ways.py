"""The verdict in a loop of one's own on networks that are no plain chain of Linear layers."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradpath import probe
from gradpath.studies.ways_by_hand import Network, loss_of, norms_at
from gradpath.studies.zoo_networks import MORE, made

VANISHING, EXPLODING = 1e-2, 1e2


def judged(model: nn.Module, loss: Callable[[], Tensor], steps: int = 1) -> dict[str, Any]:
    """The verdict after some steps that leave the weights as they are."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with probe(model) as p:
        for _ in range(steps):
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()
    return p.verdict()


def expected(ways: list[list[tuple[str, float]]]) -> tuple[str | None, float | None, list[str] | None]:
    """Class, ratio and stations of the way whose ends differ most, without the output layer's station."""
    read = []
    for way in ways:
        inner = way[:-1]
        if len(inner) > 1 and inner[-1][1]:
            ratio = inner[0][1] / inner[-1][1]
            kind = "vanishing" if ratio < VANISHING else "exploding" if ratio > EXPLODING else "healthy"
            read.append((abs(np.log(ratio)), kind, ratio, [name for name, _ in inner]))
    return max(read)[1:] if read else (None, None, None)


@pytest.mark.parametrize("name", [name for name in MORE if name != "U-Net"])
@pytest.mark.parametrize("scale", [1.0, 1e-2, 30.0])
def test_the_class_is_read_along_the_worst_way(name: str, scale: float) -> None:
    """Against autograd in float64 at stations that are written by hand, and with all weights scaled."""
    network, x = made(name)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                parameter *= scale
    kind, ratio, stations = expected(norms_at(network, loss_of(network(x))))
    found = judged(network, lambda: loss_of(network(x)))
    assert found["class"] == kind
    assert found["ratio"] == (None if ratio is None else pytest.approx(ratio, rel=1e-9))
    assert found["way"] == stations
    assert found["coverage"]["share"] == pytest.approx(115 / 121 if name == "vision transformer" else 1)
    assert found["coverage"]["missing"] == (["token", "place"] if name == "vision transformer" else [])
    assert (found["end"] or {}).get("class") == kind
    scales = [finding for finding in found["findings"] if finding["kind"] in ("vanishing", "exploding")]
    assert [finding["kind"] for finding in scales] == ([kind] if kind in ("vanishing", "exploding") else [])


def test_convolutions_that_vanish() -> None:
    torch.manual_seed(0)
    convs = [part for k in range(12) for part in (nn.Conv2d(4 if k else 1, 4, 3, padding=1), nn.Sigmoid())]
    model = nn.Sequential(*convs, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 3))
    x, y = torch.randn(8, 1, 6, 6), torch.arange(8) % 3
    found = judged(model, lambda: F.cross_entropy(model(x), y))
    assert found["class"] == "vanishing"
    (finding,) = found["findings"]
    assert (finding["cause"], finding["layer"]) == ("activation", "0")
    assert finding["remedy"].startswith("nn.ReLU")


class Damped(nn.Module):
    """A stream with five blocks beside it; the third is followed by a factor of 1e-4."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(6, 6), nn.Linear(6, 3)
        self.blocks = nn.ModuleList(nn.Linear(6, 6) for _ in range(5))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for index, block in enumerate(self.blocks):
            x = x + torch.tanh(block(x))
            if index == 2:
                x = x * 1e-4
        return self.head(x)


def test_a_branching_network_that_vanishes_names_the_place_and_no_cause() -> None:
    torch.manual_seed(0)
    model, x = Damped(), torch.randn(8, 6)
    found = judged(model, lambda: loss_of(model(x)))
    (finding,) = found["findings"]
    assert (finding["kind"], finding["cause"], finding["layer"], finding["remedy"]) == ("vanishing", "unknown", "stem", None)
    assert "most of it between blocks.3 + and blocks.2 +; why was not found" in finding["message"]


def test_the_sick_one_of_two_towers() -> None:
    network, x = made("two towers")
    found = judged(network, lambda: loss_of(network(x)))
    assert found["class"] == "vanishing"
    assert found["way"] == [f"sick.{k}" for k in range(5)]


@pytest.mark.parametrize("order", ["teacher first", "student first"])
def test_a_frozen_teacher_has_no_say(order: str) -> None:
    torch.manual_seed(0)
    teacher = nn.Sequential(*[part for _ in range(12) for part in (nn.Linear(8, 8), nn.Sigmoid())], nn.Linear(8, 3))
    student = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))
    model = nn.ModuleDict({"teacher": teacher.requires_grad_(False), "student": student})
    x = torch.randn(16, 8)

    def loss() -> Tensor:
        if order == "teacher first":
            target = teacher(x)
            return F.mse_loss(student(x), target)
        said = student(x)
        return F.mse_loss(said, teacher(x))

    found = judged(model, loss)
    assert (found["class"], found["way"], found["findings"]) == ("healthy", ["student.0", "student.2"], [])


class Half(nn.Module):
    """A third of the weights are changed before a function uses them, not a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.head = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)
        self.own = nn.Parameter(torch.randn(6, 6))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.two(torch.relu(F.linear(torch.relu(self.one(x)), self.own.tanh())))))


def test_below_nine_tenths_of_the_weights_there_is_no_class() -> None:
    torch.manual_seed(0)
    model, x = Half(), torch.randn(8, 6)
    found = judged(model, lambda: loss_of(model(x)))
    share = (36 + 36 + 18) / (36 + 36 + 18 + 36)
    assert found["coverage"] == {"share": pytest.approx(share), "missing": ["own"]}
    assert (found["class"], found["ratio"], found["end"]["class"], found["findings"]) == (None, None, None, [])
    assert (
        found["undecided"]
        == found["end"]["undecided"]
        == ("only 71% of the weights were measured; not own, of which |dW| alone is known")
    )
    # A frozen weight takes no part in training.
    model.own.requires_grad_(False)
    assert judged(model, lambda: loss_of(model(x)))["coverage"] == {"share": 1.0, "missing": []}


def nothing_frozen(model: nn.Module) -> None:
    model.requires_grad_(False)
    soft = torch.zeros(4, 6, requires_grad=True)
    optimizer = torch.optim.SGD([soft], lr=0.1)
    loss_of(model(soft)).backward()
    optimizer.step()


def nothing_backward(model: nn.Module) -> None:
    model(torch.randn(4, 6))


def nothing_by_hand(model: nn.Module) -> None:
    loss_of(model(torch.randn(4, 6))).backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter -= 0.1 * parameter.grad


@pytest.mark.parametrize(
    ("loop", "why"),
    [
        (nothing_frozen, "no step was measured: all of the model's parameters are frozen"),
        (nothing_backward, "no step was measured: no backward pass went through the model's layers inside the block"),
        (nothing_by_hand, "no step was measured: no torch.optim optimiser of the model's parameters made a step"),
    ],
)
def test_nothing_measured_is_said(loop: Callable[[nn.Module], None], why: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 3))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with probe(model, folder=tmp_path / "run") as p:
            loop(model)
    assert [str(warning.message)[: len(why) + 10] for warning in said] == [f"gradpath: {why}"]
    found = p.verdict()
    assert found["unmeasured"].startswith(why)
    assert found["undecided"] == found["unmeasured"]
    assert (found["class"], found["findings"], found["end"]) == (None, [], None)
    # The same sentence stands in the file that the tab reads.
    kept = json.loads(str(np.load(tmp_path / "run/flow.npz")["verdict"]))
    assert kept["unmeasured"] == found["unmeasured"]


def test_why_there_is_no_class() -> None:
    torch.manual_seed(0)
    x = torch.randn(8, 6)
    shallow = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 3))
    assert "two places below the output layer" in judged(shallow, lambda: loss_of(shallow(x)))["undecided"]
    silent = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 3))
    nn.init.zeros_(silent[4].weight)
    assert judged(silent, lambda: loss_of(silent(x)))["undecided"].startswith("4 starts at zero, and lets no gradient")
    broken = torch.full((8, 6), torch.nan)
    assert judged(silent, lambda: loss_of(silent(broken)))["undecided"] == "the first measured step was not finite"


def test_weights_that_a_later_step_reaches_are_covered() -> None:
    """Two parts that are trained in turn, as in a GAN."""
    torch.manual_seed(0)
    one, two = (nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2)) for _ in range(2))
    model, x = nn.ModuleList([one, two]), torch.randn(8, 4)
    optimizers = [torch.optim.SGD(part.parameters(), lr=0.1) for part in (one, two)]
    with probe(model) as p:
        for _ in range(2):
            for part, optimizer in zip((one, two), optimizers, strict=True):
                optimizer.zero_grad()
                loss_of(part(x)).backward()
                optimizer.step()
    assert p.verdict()["coverage"]["share"] == 1.0
    assert p.verdict()["class"] == "healthy"


def test_a_network_is_as_it_was() -> None:
    network, x = made("pre-norm transformer")
    before = dict(network.named_modules()), [(m._forward_hooks, m._forward_pre_hooks) for m in network.modules()]
    judged(network, lambda: loss_of(network(x)))
    assert (dict(network.named_modules()), [(m._forward_hooks, m._forward_pre_hooks) for m in network.modules()]) == before
    assert not torch.nn.modules.module._global_forward_hooks
    assert isinstance(network, Network)
