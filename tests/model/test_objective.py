"""Losses and metrics against torch; losses that do not fit the data or the network's output are refused."""

import pytest
import torch
from torch import nn

from gradpath.errors import ConfigError
from gradpath.model.module import metric_of
from gradpath.model.objective import Objective, Task, build_objective

ALL = ["regression", "binary", "multiclass"]


def auto(task: str, outputs: int) -> Objective:
    return build_objective(task, outputs, None, ALL, "none")


def test_multiclass() -> None:
    torch.manual_seed(0)
    objective = auto("multiclass", 4)
    outputs, targets = torch.randn(50, 4), torch.randint(4, (50,))
    log_p = outputs - outputs.exp().sum(1, keepdim=True).log()
    assert objective.loss(outputs, targets).item() == pytest.approx(-log_p[range(50), targets].mean().item(), rel=1e-6)
    share = (outputs.argmax(1) == targets).float().mean()
    assert objective.score(outputs, targets) == share
    metric = metric_of(objective)
    metric.update(objective.prediction(outputs[:20]), targets[:20])
    metric.update(objective.prediction(outputs[20:]), targets[20:])
    assert metric.compute().item() == pytest.approx(share.item())


def test_binary() -> None:
    torch.manual_seed(0)
    objective = auto("binary", 1)
    outputs, targets = torch.randn(50, 1), torch.randint(2, (50,))
    p = torch.sigmoid(outputs[:, 0])
    expected = -(targets * p.log() + (1 - targets) * (1 - p).log()).mean()
    assert objective.loss(outputs, targets).item() == pytest.approx(expected.item(), rel=1e-6)
    share = ((p > 0.5) == targets.bool()).float().mean()
    assert objective.score(outputs, targets) == share
    metric = metric_of(objective)
    metric.update(objective.prediction(outputs), targets)
    assert metric.compute().item() == pytest.approx(share.item())


def test_regression() -> None:
    torch.manual_seed(0)
    objective = auto("regression", 1)
    outputs, targets = torch.randn(50, 1), torch.randn(50, 1)
    assert objective.metric_name == "mae"
    assert objective.loss(outputs, targets).item() == pytest.approx((outputs - targets).square().mean().item(), rel=1e-6)
    # Targets without the second dimension mean the same; broadcasting them would average over 2500 pairs.
    assert torch.equal(objective.loss(outputs, targets[:, 0]), objective.loss(outputs, targets))
    mae = (outputs - targets).abs().mean().item()
    assert objective.score(outputs, targets[:, 0]).item() == pytest.approx(mae, rel=1e-6)
    metric = metric_of(objective)
    metric.update(objective.prediction(outputs), targets)
    assert metric.compute().item() == pytest.approx(mae, rel=1e-6)


def test_squared_error_on_classes_is_against_one_hot_vectors() -> None:
    objective = build_objective("multiclass", 3, nn.MSELoss(), ALL, "softmax")
    outputs, targets = torch.tensor([[0.2, 0.3, 0.5]]), torch.tensor([2])
    assert objective.loss(outputs, targets).item() == pytest.approx((0.2**2 + 0.3**2 + 0.5**2) / 3)


def test_squared_error_on_two_classes_is_cut_in_the_middle() -> None:
    objective = build_objective("binary", 1, nn.MSELoss(), ALL, "none")
    assert objective.prediction(torch.tensor([[0.4], [0.6]])).tolist() == [0, 1]
    assert auto("binary", 1).prediction(torch.tensor([[-0.1], [0.1]])).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("task", "criterion", "tasks"),
    [
        ("regression", nn.CrossEntropyLoss(), ["multiclass"]),
        ("binary", nn.CrossEntropyLoss(), ["multiclass"]),
        ("multiclass", nn.BCEWithLogitsLoss(), ["binary"]),
        ("multiclass", nn.HuberLoss(), ["regression"]),
    ],
)
def test_a_loss_for_other_data_is_refused(task: str, criterion: nn.Module, tasks: list[str]) -> None:
    with pytest.raises(ConfigError, match="use loss=auto"):
        build_objective(task, 3, criterion, tasks, "none")


@pytest.mark.parametrize(("task", "output"), [("multiclass", "softmax"), ("binary", "sigmoid")])
def test_applying_it_twice_is_refused(task: str, output: str) -> None:
    with pytest.raises(ConfigError, match="twice"):
        build_objective(task, 3, None, ALL, output)


def test_tasks_are_words() -> None:
    assert Task("binary") == "binary"
