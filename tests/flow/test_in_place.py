"""Layers whose output is changed in place by what follows."""

import pytest
import torch
from torch import Tensor, nn

from gradpath.verdict.probing import JudgingProbe, probe


def seen(model: nn.Module, x: Tensor, **options: str) -> JudgingProbe:
    with probe(model, **options) as p:
        model(x).square().mean().backward()
        p.step()
    return p


def chain(inplace: bool) -> nn.Sequential:
    torch.manual_seed(0)
    parts = [part for _ in range(3) for part in (nn.Linear(16, 16), nn.ReLU(inplace))]
    return nn.Sequential(*parts, nn.Linear(16, 3)).double()


@pytest.mark.parametrize("shape", [(8, 16), (8, 5, 16), (4, 2, 3, 16)])
def test_an_activation_in_place_changes_nothing(shape: tuple[int, ...]) -> None:
    x = torch.randn(*shape, dtype=torch.float64)
    expected, found = seen(chain(False), x), seen(chain(True), x)
    assert found.record.row(0)["delta"] == pytest.approx(expected.record.row(0)["delta"], rel=1e-9)
    assert found.verdict()["class"] == expected.verdict()["class"] == "healthy"
    assert found.verdict()["way"] == ["0", "2", "4"]
    assert not found.verdict()["findings"]


class Block(nn.Module):
    def __init__(self, inplace: bool) -> None:
        super().__init__()
        self.a, self.b, self.inplace = nn.Linear(16, 32), nn.Linear(32, 16), inplace

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.b(torch.tanh(self.a(x)))
        if not self.inplace:
            return x + y
        y += x
        return y


def test_a_residual_sum_in_place_changes_nothing() -> None:
    x, records = torch.randn(8, 5, 16, dtype=torch.float64), []
    for inplace in (False, True):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(16, 16), Block(inplace), Block(inplace), nn.Linear(16, 2)).double()
        records.append(seen(model, x))
    expected, found = (dict(zip(p.record.layers, p.record.row(0)["delta"], strict=True)) for p in records)
    for name in ("0", "1.a", "1.b", "2.a", "2.b", "3"):
        assert found[name] == pytest.approx(expected[name], rel=1e-9)
    assert records[1].verdict()["class"] == records[0].verdict()["class"]
    assert records[1].verdict()["coverage"]["share"] == 1


def test_a_layer_that_cannot_be_followed_is_not_called_cut_off() -> None:
    class Part(nn.Linear):
        """Returns a part of what it computes."""

        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x)[..., :-1]

    torch.manual_seed(0)
    model = nn.Sequential(Part(16, 17), nn.ReLU(True), Part(16, 17), nn.ReLU(True), nn.Linear(16, 3))
    found = seen(model, torch.randn(8, 16)).verdict()
    assert "no_gradient" not in [finding["kind"] for finding in found["findings"]]


def test_a_function_of_ones_own_is_not_taken_for_a_view() -> None:
    class Reversed(torch.autograd.Function):
        @staticmethod
        def forward(ctx: object, x: Tensor) -> Tensor:
            return x.view_as(x)

        @staticmethod
        def backward(ctx: object, gradient: Tensor) -> Tensor:  # type: ignore[override]
            return -10 * gradient

    class Reversing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = Reversed.apply(x)
            return result

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 16), Reversing(), nn.Linear(16, 3)).double()
    x = torch.randn(8, 16, dtype=torch.float64)
    h = model[1](model[0](x))
    (gradient,) = torch.autograd.grad(model[2](h).square().mean(), h)
    p = seen(model, x, at="1")
    found = p.record.row(0)["delta"][p.record.layers.index("1")]
    assert found == pytest.approx(float(gradient.norm(dim=1).square().mean().sqrt()) * 8, rel=1e-9)
