"""Where a run stopped being finite."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from gradpath.data.batch import Batch
from gradpath.errors import RunFailed
from gradpath.flow import record
from gradpath.model.network import MLP
from gradpath.verdict.divergence import locate

SMALL = ("data=xor_noisy", "data.samples=200", "model.hidden=[16,8]", "trainer.max_epochs=3", "trainer.accelerator=cpu")


def network() -> tuple[MLP, Batch]:
    torch.manual_seed(0)
    return MLP(4, [6, 5], 2), Batch(torch.randn(8, 4), torch.randint(2, (8,)))


@torch.no_grad()
def test_a_weight() -> None:
    net, batch = network()
    net.linears[1].weight[2, 3] = float("nan")
    assert str(locate(net, batch, 7)) == "step 7 in hidden_02 (weight)"


@torch.no_grad()
def test_a_pre_activation() -> None:
    net, batch = network()
    net.linears[0].weight.fill_(1e30)
    net.linears[1].weight.fill_(1e30)
    assert str(locate(net, batch, 0)) == "step 0 in hidden_02 (pre-activation)"


@torch.no_grad()
def test_an_activation() -> None:
    class Exp(nn.Module):
        def forward(self, h: torch.Tensor) -> torch.Tensor:
            return h.exp()

    net = MLP(4, [6, 5], 2, Exp)
    net.linears[0].weight.fill_(1.0)
    batch = Batch(torch.full((8, 4), 100.0), torch.zeros(8, dtype=torch.long))
    assert str(locate(net, batch, 0)) == "step 0 in hidden_01 (activation)"


def test_a_gradient_begins_nearest_to_the_output() -> None:
    net, batch = network()
    for linear in net.linears:
        linear.weight.grad = torch.zeros_like(linear.weight)
    for linear in net.linears[:2]:
        linear.weight.grad = torch.full_like(linear.weight, float("inf"))
    assert str(locate(net, batch, 3)) == "step 3 in hidden_02 (weight gradient)"


def test_the_loss() -> None:
    net, batch = network()
    for linear in net.linears:
        linear.weight.grad = torch.full_like(linear.weight, float("nan"))
    assert str(locate(net, batch, 3)) == "step 3 in output (loss)"


def test_a_run_that_diverges_stops_and_says_where(run_here) -> None:
    result, folder = run_here(*SMALL, "optimizer=sgd", "optimizer.lr=1e30", "activation=identity", "probe.every=1")
    assert result["status"] == "diverged"
    assert result["error"].startswith("NaN or Inf first at step ")
    where = json.loads((folder / "divergence.json").read_text())
    assert where["quantity"] in ("pre-activation", "loss", "weight gradient", "weight")
    assert str(where["step"]) in result["error"]
    # The record shows the explosion, not a gradient of zero.
    last = record.load(folder)["weight_grad_norm"][-1]
    assert not np.isfinite(last).all()
    # The last checkpoint holds the weights from before the divergence.
    state = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    assert all(torch.isfinite(value).all() for value in state.values())
    saved = json.loads((folder / "result.json").read_text())
    assert saved["status"] == "diverged"


def test_divergence_can_count_as_failure(run_here) -> None:
    with pytest.raises(RunFailed, match="NaN or Inf"):
        run_here(*SMALL, "optimizer=sgd", "optimizer.lr=1e30", "activation=identity", "fail_on_divergence=true")


def test_a_steady_run_reports_nothing(run_here) -> None:
    result, folder = run_here(*SMALL)
    assert result["status"] == "ok"
    assert not (folder / "divergence.json").exists()
