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
    for quantity in ("activation_mean", "dead", "correlation"):
        assert np.isnan(row[quantity][1:]).all()
    # Nothing is a product with the positions.
    assert np.isnan(row["delta"]).tolist() == [False, True, False, False]
    assert row["rank"][2:].tolist() == [6, 6]


def test_their_products_are_places_of_the_way() -> None:
    """Against the same network of modules: F.linear, a matrix product, a convolution, and one product that occurs twice."""

    class Twin(nn.Module):
        def __init__(self, functions: bool) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.functions = functions
            self.conv, self.one = nn.Conv1d(3, 4, 3, padding=1), nn.Linear(4, 6)
            self.two, self.head = nn.Linear(6, 6, bias=False), nn.Linear(6, 6)
            if functions:
                self.own = nn.ParameterList([self.conv.weight, self.conv.bias, self.one.weight, self.one.bias])
                self.last = nn.ParameterList([self.two.weight, self.head.weight, self.head.bias])
                del self.conv, self.one, self.two, self.head

        def forward(self, x: Tensor) -> Tensor:
            if not self.functions:
                x = torch.tanh(self.one(torch.tanh(self.conv(x)).transpose(1, 2)))
                return self.head(torch.tanh(self.two(torch.tanh(self.two(x)))))
            x = torch.tanh(F.conv1d(x, self.own[0], self.own[1], padding=1)).transpose(1, 2)
            x = torch.tanh(F.linear(x, self.own[2], self.own[3]))
            return F.linear(torch.tanh(torch.tanh(x @ self.last[0].T) @ self.last[0].T), self.last[1], self.last[2])

    x = torch.randn(8, 3, 5)
    modules, functions = (trained(Twin(functions).double(), x.double()) for functions in (False, True))
    assert functions.record.layers == ["own.0", "own.2", "last.0", "last.1"]
    assert functions.record.matrix("delta") == pytest.approx(modules.record.matrix("delta"), rel=1e-9)
    found, wanted = functions.verdict(), modules.verdict()
    assert found["way"] == ["own.0", "own.2", "last.0", "last.0#2"]
    assert found["ratio"] == pytest.approx(wanted["ratio"], rel=1e-9)
    assert (found["class"], found["findings"], found["coverage"]["share"]) == ("healthy", [], 1.0)


def test_a_loop_without_an_optimiser_has_steps() -> None:
    x = torch.randn(8, 5, 4)
    with probe(model := Functions()) as p:
        model(x).square().mean().backward()
        p.step()
    assert p.record.steps == [0]


def test_a_sick_network_of_functions_is_found() -> None:
    class Dull(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.own = nn.ParameterList(torch.randn(16, 16) / 4 for _ in range(12))

        def forward(self, x: Tensor) -> Tensor:
            for weight in self.own:
                x = torch.sigmoid(F.linear(x, weight))
            return x

    torch.manual_seed(0)
    found = trained(Dull(), torch.randn(8, 16)).verdict()
    assert (found["class"], found["findings"][0]["kind"], found["findings"][0]["remedy"]) == ("vanishing", "vanishing", None)


def test_there_is_no_class_where_weights_are_changed_before_they_are_used() -> None:
    class Changed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.own = nn.Linear(4, 6), nn.Parameter(torch.randn(6, 6))

        def forward(self, x: Tensor) -> Tensor:
            return torch.tanh(F.linear(self.first(x), self.own.tanh()))

    found = trained(Changed(), torch.randn(8, 5, 4)).verdict()
    assert (found["class"], found["findings"]) == (None, [])
    assert found["coverage"] == {"share": 24 / 60, "missing": ["own"]}
    assert found["undecided"] == "only 40% of the weights were measured; not own, of which |dW| alone is known"


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
    assert p.verdict()["coverage"] == {"share": 1.0, "missing": []}
