"""Failing on demand: in a loop, in a test of one's own network, and on the command line."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from conftest import Command
from gradpath.testing import assert_healthy
from gradpath.verdict.probing import UnhealthyError, probe


def sigmoids(depth: int = 12) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(*[part for _ in range(depth) for part in (nn.Linear(16, 16), nn.Sigmoid())], nn.Linear(16, 3))


def rectified() -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(*[part for _ in range(4) for part in (nn.Linear(64, 64), nn.ReLU())], nn.Linear(64, 3))
    for layer in model[:-1:2]:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return model


BATCH = torch.randn(32, 16), torch.arange(32) % 3
WIDE = torch.randn(32, 64), torch.arange(32) % 3


def test_a_loop_checks_what_it_names() -> None:
    model = sigmoids()
    with probe(model) as p:
        with pytest.raises(UnhealthyError, match="no step was measured"):
            p.check("vanishing")
        F.cross_entropy(model(BATCH[0]), BATCH[1]).backward()
        p.step()
        with pytest.raises(UnhealthyError, match=r"vanishing: the gradient shrinks .*; try nn\.ReLU"):
            p.check("vanishing")
        with pytest.raises(AssertionError):
            p.check()
        p.check("dead_units", "exploding")
    with pytest.raises(ValueError, match=r"vanishng is no finding\. Did you mean vanishing\?"):
        p.check("vanishng")


def test_findings_are_muted() -> None:
    with pytest.raises(ValueError, match=r"dead_unit is no finding\. Did you mean dead_units\?"):
        probe(sigmoids(), ignore=["dead_unit"]).__enter__()
    model = sigmoids()
    with probe(model, ignore=["vanishing"]) as p:
        F.cross_entropy(model(BATCH[0]), BATCH[1]).backward()
        p.step()
    assert p.verdict()["class"] == "vanishing"
    assert "vanishing" not in [finding["kind"] for finding in p.verdict()["findings"]]


def test_a_test_of_ones_own_network() -> None:
    healthy, sick = rectified(), sigmoids()
    with pytest.raises(AssertionError, match="vanishing: the gradient shrinks"):
        assert_healthy(sick, BATCH, F.cross_entropy)
    before, state = {name: value.clone() for name, value in healthy.state_dict().items()}, torch.get_rng_state()
    healthy[0].weight.grad = torch.ones(64, 64)
    assert_healthy(healthy, WIDE, F.cross_entropy)
    assert all(torch.equal(before[name], value) for name, value in healthy.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(healthy[0].weight.grad, torch.ones(64, 64))
    assert healthy[2].weight.grad is None


@pytest.mark.parametrize("batch", [BATCH[0], BATCH[0][:2], (*BATCH, BATCH[1])])
def test_a_batch_is_inputs_and_targets(batch: Any) -> None:
    with pytest.raises(ValueError, match="batch: must be two things, the inputs and the targets"):
        assert_healthy(rectified(), batch, F.cross_entropy)


def test_what_was_not_seen_is_not_healthy() -> None:
    class Functions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.matrices = nn.ParameterList(torch.randn(16, 16) / 4 for _ in range(6))
            self.head = nn.Linear(16, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for matrix in self.matrices:
                x = torch.sigmoid(x @ matrix.tanh())
            return self.head(x)

    with pytest.raises(
        AssertionError, match=r"only 3% of the weights were measured; not matrices\.0.*\|dW\| alone is known"
    ):
        assert_healthy(Functions(), BATCH, F.cross_entropy)


def test_the_command_line_fails_on_demand(command: Command) -> None:
    sick = ("model=deep", "model.depth=12", "model.width=16", "activation=sigmoid", "init=pytorch", "data=gaussian",
            "data.samples=200", "trainer.max_epochs=1", "trainer.accelerator=cpu")  # fmt: skip
    done = command("train.py", *sick, "fail_on=vanishing,dead_units")
    assert done.returncode == 1, done.stderr
    assert "error: fail_on=vanishing: the gradient shrinks" in " ".join(done.stderr.split())
    assert command("train.py", *sick, "fail_on=[exploding]").returncode == 0
    wrong = command("train.py", *sick, "fail_on=vanishing,dead_unit")
    assert wrong.returncode == 2
    assert "Did you mean dead_units?" in " ".join(wrong.stderr.split())
