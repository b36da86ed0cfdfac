"""Weights that functions use, and no module: what is known of them, and what is not."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradpath.verdict.probing import JudgingProbe, probe


class Functions(nn.Module):
    """A learnt embedding of positions before a Linear layer, a list of weights behind it, and a normalisation."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.positions = nn.Parameter(torch.randn(1, 5, 4))
        self.first, self.norm = nn.Linear(4, 6), nn.LayerNorm([5, 6])
        self.own = nn.ParameterList([torch.randn(6, 6) for _ in range(2)])
        self.bias = nn.Parameter(torch.zeros(6))

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.first(x + self.positions))
        for weight in self.own:
            x = torch.tanh(F.linear(x, weight, self.bias))
        return x


def trained(model: nn.Module, x: Tensor) -> JudgingProbe:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with probe(model, inputs=x[:2], rank=True) as p:
        for _ in range(3):
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
    return p


def test_they_have_columns_of_their_own() -> None:
    model = Functions().double()
    before = {name: value.clone() for name, value in model.named_parameters()}
    x = torch.randn(8, 5, 4).double()
    model(x).square().mean().backward()
    grads = {
        name: parameter.grad.norm().item() for name, parameter in model.named_parameters() if parameter.grad is not None
    }
    p = trained(model, x)
    row, names = p.record.row(0), ["positions", "own.0", "own.1"]
    # The normalisation's weight and the bias are none, whatever their dimensions.
    assert p.record.layers == ["first", *names]
    assert row["weight_grad_norm"][1:] == pytest.approx([grads[name] for name in names], rel=1e-9)
    norms = [before[name].norm().item() for name in names]
    assert row["weight_norm"][1:] == pytest.approx(norms, rel=1e-9)
    assert row["update_ratio"][1:] == pytest.approx([0.1 * grads[n] / norm for n, norm in zip(names, norms, strict=True)])
    for quantity in ("delta", "activation_mean", "dead", "correlation"):
        assert np.isnan(row[quantity][1:]).all()
    assert row["rank"][2:].tolist() == [6, 6]


def test_there_is_no_class_where_they_are_most_of_the_weights() -> None:
    p = trained(Functions(), torch.randn(8, 5, 4))
    found = p.verdict()
    assert (found["class"], found["findings"]) == (None, [])
    assert found["coverage"] == {"share": 24 / 116, "missing": ["positions", "own.0", "own.1"]}


def test_one_that_no_optimiser_has_is_found() -> None:
    model, x = Functions(), torch.randn(8, 5, 4)
    optimizer = torch.optim.SGD([p for name, p in model.named_parameters() if name != "own.1"], lr=0.1)
    with probe(model) as p:
        for _ in range(3):
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
    assert [(finding["kind"], finding["layer"]) for finding in p.verdict()["findings"]] == [("no_update", "own.1")]


def test_a_network_of_nothing_else() -> None:
    class Bare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w, self.act = nn.Parameter(torch.randn(3, 4)), nn.Tanh()

        def forward(self, x: Tensor) -> Tensor:
            return self.act(F.linear(x, self.w))

    p = trained(Bare(), torch.randn(8, 4))
    assert (p.record.layers, p.record.steps) == (["w"], [0, 1, 2])
    assert (p.record.row(2)["weight_grad_norm"] > 0).all()
    assert p.verdict()["coverage"] == {"share": 0.0, "missing": ["w"]}
