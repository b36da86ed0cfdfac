"""The class is read where the whole gradient passes and where all weights are seen, and never from what was not."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradpath.verdict.gradient_class import NO_PLACES
from gradpath.verdict.probing import JudgingProbe, UnhealthyError, probe


class Actor(nn.Module):
    """A trunk with two heads. Its last layer lets next to nothing through."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(*[part for _ in range(depth) for part in (nn.Linear(20, 20), nn.Tanh())])
        self.policy, self.value = nn.Linear(20, 4), nn.Linear(20, 1)
        with torch.no_grad():
            self.trunk[-2].weight.mul_(1e-4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.trunk(x)
        return self.policy(h), self.value(h)


@pytest.mark.parametrize("depth", [2, 3])
@pytest.mark.parametrize("heads", ["policy", "both"])
def test_the_last_layer_of_a_trunk_is_no_output_layer(heads: str, depth: int) -> None:
    torch.manual_seed(0)
    model, x = Actor(depth), torch.randn(32, 20)
    with probe(model) as p:
        policy, value = model(x)
        loss = F.cross_entropy(policy, torch.arange(32) % 4) + (value.square().mean() if heads == "both" else 0)
        loss.backward()
        p.step()
    found, delta = p.verdict(), dict(zip(p.record.layers, p.record.row(0)["delta"], strict=True))
    last = f"trunk.{2 * depth - 2}"
    assert (found["class"], found["way"][0], found["way"][-1]) == ("vanishing", "trunk.0", last)
    assert found["ratio"] == pytest.approx(delta["trunk.0"] / delta[last], rel=1e-5)


def deep(depth: int = 12) -> nn.Sequential:
    torch.manual_seed(0)
    parts = [part for _ in range(depth) for part in (nn.Linear(16, 16), nn.Sigmoid())]
    return nn.Sequential(*parts, nn.Linear(16, 3))


def steps(model: nn.Module, count: int, thaw: int | None = None, **options: object) -> JudgingProbe:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    x, targets = torch.randn(32, 16), torch.arange(32) % 3
    with probe(model, **options) as p:
        for step in range(count):
            if step == thaw:
                model.requires_grad_(True)
            optimizer.zero_grad()
            F.cross_entropy(model(x), targets).backward()
            optimizer.step()
    return p


def test_layers_that_are_unfrozen_later_are_judged() -> None:
    """The first step, in which three layers trained, says nothing of the others."""
    model = deep()
    model[:18].requires_grad_(False)
    p = steps(model, 16, thaw=10)
    found, last = p.verdict(), p.record.row(-1)["delta"]
    assert found["class"] == "vanishing"
    assert len(found["way"]) == 12
    assert found["ratio"] == pytest.approx(last[0] / last[11], rel=0.1)
    # Those that stay frozen are none of the training.
    model = deep()
    model[:18].requires_grad_(False)
    assert len(steps(model, 3).verdict()["way"]) == 3


def test_what_cannot_be_said_is_not_passed() -> None:
    """Two calls of a model in one loss share no place. Whether the gradient vanishes in it cannot be said."""
    model = deep()
    with probe(model) as p:
        (model(torch.randn(8, 16)) - model(torch.randn(8, 16))).square().mean().backward()
        p.step()
    assert (p.verdict()["class"], p.verdict()["undecided"]) == (None, NO_PLACES)
    for kinds in ((), ("vanishing",), ("exploding", "dead_units")):
        with pytest.raises(UnhealthyError, match="places through which all of the gradient passes"):
            p.check(*kinds)
    p.check("dead_units")
    # Where there is one hidden layer, there is nothing that could vanish.
    shallow = nn.Sequential(nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 3))
    steps(shallow, 2).check()


def test_a_scaled_loss_that_falls_is_not_called_rising() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(10, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    scaler = torch.amp.GradScaler("cpu", growth_interval=20)
    x, targets, losses = torch.randn(64, 10), torch.arange(64) % 3, []
    with probe(model, scaler=scaler) as p:
        for _ in range(100):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), targets)
            losses.append(loss.item())
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
    assert losses[-1] < losses[0]
    assert scaler.get_scale() > 2**20
    assert [glimpse.loss for glimpse in p.loop.glimpses()] == pytest.approx([losses[i] for i in range(100)], rel=1e-5)
    assert p.verdict()["findings"] == []


@pytest.mark.parametrize("masked", [False, True])
def test_a_mask_is_no_data(masked: bool) -> None:
    """A causal mask has -inf in it. What made the numbers infinite is the learning rate, with it as without it."""
    torch.manual_seed(0)
    model = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e20)
    mask = nn.Transformer.generate_square_subsequent_mask(5) if masked else None
    with probe(model) as p:
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.randn(4, 5, 8), src_mask=mask).square().mean().backward()
            optimizer.step()
    assert [finding["cause"] for finding in p.verdict()["findings"]][:1] == ["learning rate"]


class Normed(nn.Module):
    def __init__(self, norm: nn.Module, phi: object) -> None:
        super().__init__()
        self.one, self.norm, self.two, self.phi = nn.Linear(16, 16), norm, nn.Linear(16, 3), phi

    def forward(self, x: Tensor) -> Tensor:
        return self.two(self.norm(self.phi(self.one(x))))  # type: ignore[operator]


def test_what_lies_between_two_layers_is_their_activation_only_entry_by_entry() -> None:
    torch.manual_seed(0)
    for phi in (torch.tanh, F.relu, F.gelu, lambda h: h * torch.sigmoid(h), lambda h: F.relu(h).square()):
        found = steps(Normed(nn.Identity(), phi), 1).record.row(0)["activation_variance"]
        assert found[0] > 0, phi
    # A normalisation in front of an activation is part of it.
    normed = steps(Normed(nn.Identity(), lambda h: F.relu(F.layer_norm(h, (16,)))), 1)
    assert normed.record.row(0)["activation_variance"][0] > 0
    for other in (nn.LayerNorm(16), nn.Softmax(-1)):
        found = steps(Normed(other, lambda h: h), 1).record.row(0)["activation_variance"]
        assert str(found[0]) == "nan", other
