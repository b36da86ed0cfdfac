"""Branches that start at zero on purpose are not accused; what is dead behind them is."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradpath.testing import assert_healthy
from gradpath.verdict.probing import UnhealthyError, probe


class Adapted(nn.Module):
    """A frozen layer with a low-rank branch beside it, whose second factor starts at zero (LoRA)."""

    def __init__(self, layer: nn.Linear, rank: int = 4) -> None:
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self.a, self.b = (
            nn.Linear(layer.in_features, rank, bias=False),
            nn.Linear(rank, layer.out_features, bias=False),
        )
        nn.init.zeros_(self.b.weight)

    def forward(self, x: Tensor) -> Tensor:
        branch: Tensor = self.b(self.a(x))
        return self.layer(x) + 2 * branch


class Controlled(nn.Module):
    """A frozen network with a branch that ends in a convolution of zeros (ControlNet). `depth` layers of it are sigmoids."""

    def __init__(self, depth: int = 0) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1).requires_grad_(False)
        first, later = nn.Conv2d(1, 8, 3, padding=1), [nn.Conv2d(8, 8, 3, padding=1) for _ in range(depth)]
        dull = [part for layer in later for part in (layer, nn.Sigmoid())]
        self.control = nn.Sequential(first, nn.SiLU(), nn.Conv2d(8, 8, 3, padding=1), nn.SiLU(), *dull)
        self.zero = nn.Conv2d(8, 8, 1)
        nn.init.zeros_(self.zero.weight)
        nn.init.zeros_(self.zero.bias)
        self.head = nn.Conv2d(8, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(F.silu(self.stem(x) + self.zero(self.control(x))))
        return out


class Gated(nn.Module):
    """What an encoder makes comes in through a gate that starts at zero (Flamingo)."""

    def __init__(self, depth: int = 0) -> None:
        super().__init__()
        dull = [part for _ in range(depth) for part in (nn.Linear(16, 16), nn.Sigmoid())]
        self.encoder = nn.Sequential(nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), *dull)
        self.gate = nn.Parameter(torch.zeros(1))
        self.head = nn.Sequential(nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 3))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(x + self.gate * self.encoder(x))
        return out


def adapted() -> nn.Module:
    base = [nn.Linear(16, 32), nn.Linear(32, 32), nn.Linear(32, 32)]
    return nn.Sequential(*[part for layer in base for part in (Adapted(layer), nn.ReLU())], Adapted(nn.Linear(32, 3)))


IMAGES = torch.randn(8, 1, 8, 8), torch.randn(8, 1, 8, 8)
VECTORS = torch.randn(32, 16), torch.arange(32) % 3


def trained(model: nn.Module, lr: float, batch: tuple[Tensor, Tensor], loss: Callable[..., Tensor], steps: int = 20) -> Any:
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr)
    with probe(model) as p:
        for _ in range(steps):
            optimizer.zero_grad()
            loss(model(batch[0]), batch[1]).backward()
            optimizer.step()
    return p.verdict()


@pytest.mark.parametrize("lr", [1e-5, 1e-4, 1e-2])
def test_an_adapter_is_judged_as_if_it_had_its_size(lr: float) -> None:
    torch.manual_seed(0)
    found = trained(adapted(), lr, VECTORS, F.cross_entropy)
    assert (found["class"], found["findings"]) == ("healthy", [])
    assert found["starts_at_zero"] == ["0.b"]
    assert 0.2 < found["ratio"] < 2


def test_a_convolution_of_zeros_is_judged_as_if_it_had_its_size() -> None:
    torch.manual_seed(0)
    found = trained(Controlled(), 1e-5, IMAGES, F.mse_loss)
    assert (found["class"], found["findings"], found["starts_at_zero"]) == ("healthy", [], ["zero"])


def test_sick_layers_behind_zeros_are_found() -> None:
    torch.manual_seed(0)
    found = trained(Controlled(12), 1e-4, IMAGES, F.mse_loss)
    assert found["class"] == "vanishing"


def test_two_factors_of_zero_never_move() -> None:
    torch.manual_seed(0)
    model: Any = adapted()
    for part in model[::2]:
        nn.init.zeros_(part.a.weight)
    found = trained(model, 1e-3, VECTORS, F.cross_entropy)
    assert (found["class"], found["ratio"]) == ("vanishing", 0.0)
    with pytest.raises(UnhealthyError):
        assert_healthy(model, VECTORS, F.cross_entropy)


def test_a_single_step_does_not_tell() -> None:
    torch.manual_seed(0)
    with probe(model := adapted()) as p:
        F.cross_entropy(model(VECTORS[0]), VECTORS[1]).backward()
        p.step()
    found = p.verdict()
    assert found["class"] is None
    assert found["undecided"] == "0.b starts at zero, and lets no gradient through until a step has moved it"
    with pytest.raises(UnhealthyError, match="starts at zero"):
        p.check("vanishing")


@pytest.mark.parametrize(
    ("make", "batch", "loss"),
    [(adapted, VECTORS, F.cross_entropy), (Controlled, IMAGES, F.mse_loss), (Gated, VECTORS, F.cross_entropy)],
)
def test_the_assertion_looks_behind_zeros(make: Callable[[], nn.Module], batch: Any, loss: Any) -> None:
    torch.manual_seed(0)
    model = make()
    before, state = {name: value.clone() for name, value in model.state_dict().items()}, torch.get_rng_state()
    assert_healthy(model, batch, loss)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize(
    ("model", "batch", "loss"), [(Controlled(12), IMAGES, F.mse_loss), (Gated(12), VECTORS, F.cross_entropy)]
)  # fmt: skip
def test_the_assertion_finds_what_is_sick_behind_zeros(model: nn.Module, batch: Any, loss: Any) -> None:
    with pytest.raises(UnhealthyError, match=r"^vanishing"):
        assert_healthy(model, batch, loss)


def test_an_output_layer_of_zeros_hides_nothing_from_the_assertion() -> None:
    torch.manual_seed(0)
    parts = [part for _ in range(15) for part in (nn.Linear(16, 16), nn.Sigmoid())]
    for model in (
        nn.Sequential(*parts, nn.Linear(16, 3)),
        nn.Sequential(nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 3)),
    ):
        nn.init.zeros_(model[-1].weight)
        if len(model) > 3:
            with pytest.raises(UnhealthyError, match="vanishing"):
                assert_healthy(model, VECTORS, F.cross_entropy)
        else:
            assert_healthy(model, VECTORS, F.cross_entropy)


def test_few_samples_explain_what_batchnorm_does() -> None:
    torch.manual_seed(0)

    class Block(nn.Module):
        def __init__(self, size: int) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)
            self.conv2, self.norm2 = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)

        def forward(self, x: Tensor) -> Tensor:
            return F.relu(0.01 * x + self.norm2(self.conv2(F.relu(self.norm(self.conv(x))))))

    model = nn.Sequential(*[Block(8) for _ in range(12)], nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
    for size, cause in ((4, "BatchNorm"), (32, "unknown")):
        with probe(model) as p:
            F.cross_entropy(model(torch.randn(size, 8, 1, 1)), torch.arange(size) % 3).backward()
            p.step()
        found = p.verdict()["findings"]
        assert [(one["kind"], one["cause"]) for one in found] == [("exploding", cause)]
        assert ("BatchNorm over 4 samples" in found[0]["message"]) == (size == 4)
