"""Causes in a loop of one's own: they are found, or they are said to be unknown."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradpath.verdict.probing import probe


def perceptron(width: int = 16, depth: int = 2, rate: float = 1.0) -> nn.Sequential:
    torch.manual_seed(0)
    parts: list[nn.Module] = [nn.Linear(4, width), nn.ReLU()]
    for _ in range(depth - 1):
        parts += [nn.Linear(width, width), nn.ReLU()]
    model = nn.Sequential(*parts, nn.Linear(width, 1))
    for layer in model[::2]:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return model


def verdict_on(
    model: nn.Module,
    loss: Callable[[int], Tensor],
    steps: int,
    lr: float = 1e-3,
    kind: Any = torch.optim.Adam,
    **options: Any,
) -> dict[str, Any]:
    optimizer = kind(model.parameters(), lr=lr)
    with probe(model, **options) as p:
        for step in range(steps):
            optimizer.zero_grad()
            loss(step).backward()
            optimizer.step()
    return p.verdict()


def causes(verdict: dict[str, Any]) -> list[tuple[str, str]]:
    return [(finding["kind"], finding["cause"]) for finding in verdict["findings"]]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("step", [0, 3])
def test_data_that_are_not_finite(step: int, bad: float) -> None:
    model, x = perceptron(), torch.randn(50, 4)
    x[10 * step + 5, 2] = bad
    found = verdict_on(model, lambda i: F.mse_loss(model(x[10 * i : 10 * i + 10]), torch.ones(10, 1)), 5)
    assert causes(found) == [("divergence", "data")]
    assert f"the inputs of 0 were not finite at step {step}" in found["findings"][0]["message"]
    assert found["class"] == (None if step == 0 else "healthy")


@pytest.mark.parametrize("step", [0, 3])
def test_targets_that_are_not_finite(step: int) -> None:
    model, x = perceptron(), torch.randn(50, 4)
    y = x.sum(1, keepdim=True)
    y[10 * step + 5] = torch.nan
    found = verdict_on(model, lambda i: F.mse_loss(model(x[10 * i : 10 * i + 10]), y[10 * i : 10 * i + 10]), 5)
    assert causes(found) == [("divergence", "targets or loss")]
    assert "look at the targets" in found["findings"][0]["message"]


def test_a_derivative_that_is_not_finite() -> None:
    """The square root of zero."""
    model, x = perceptron(), torch.randn(10, 4)
    found = verdict_on(model, lambda i: (model(x) * (0 if i == 2 else 1)).abs().sum().sqrt(), 4)
    assert causes(found) == [("divergence", "targets or loss")]
    assert "the derivative of the loss was not finite at step 2, while the loss was" in found["findings"][0]["message"]


def test_a_rate_that_is_too_large() -> None:
    model, x = perceptron(), torch.randn(64, 4)
    y = x.sum(1, keepdim=True)
    found = verdict_on(model, lambda _: F.mse_loss(model(x), y), 60, lr=10.0, kind=torch.optim.SGD)
    assert causes(found)[0] == ("divergence", "learning rate")
    assert found["findings"][0]["remedy"] == "a learning rate of 0.01"


def test_inputs_that_are_absurdly_large() -> None:
    model, x = perceptron(), 1e12 * torch.randn(64, 4)
    found = verdict_on(model, lambda _: F.mse_loss(model(x), torch.ones(64, 1)), 30, lr=0.01, kind=torch.optim.SGD)
    assert causes(found)[0] == ("divergence", "data")
    assert "root mean square" in found["findings"][0]["message"]


def test_what_happened_between_two_measurements_is_not_guessed() -> None:
    """A row with NaN comes at step 25 of measurements at every tenth step."""
    model, x = perceptron(), torch.randn(64, 4)
    y = x.sum(1, keepdim=True)
    found = verdict_on(model, lambda i: F.mse_loss(model(x), y * (torch.nan if i == 25 else 1)), 40, every=10)
    assert causes(found) == [("divergence", "unknown")]
    assert "why was not found" in found["findings"][0]["message"]


def test_units_that_die_while_training() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
    x = torch.randn(256, 8)
    y = x.sum(1, keepdim=True) + 5
    found = verdict_on(model, lambda _: F.mse_loss(model(x), y), 60, lr=1.0, kind=torch.optim.SGD)
    assert "dead_units" in [kind for kind, _ in causes(found)]


def test_a_last_layer_that_starts_at_zero() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(*[part for _ in range(12) for part in (nn.Linear(32, 32), nn.Sigmoid())], nn.Linear(32, 4))
    nn.init.zeros_(model[-1].weight)
    x, y = torch.randn(64, 32), torch.randint(4, (64,))
    found = verdict_on(model, lambda _: F.cross_entropy(model(x), y), 5, lr=0.1, kind=torch.optim.SGD)
    assert found["class"] == "vanishing"
    assert causes(found)[0][0] == "vanishing"


@pytest.mark.parametrize("seed", range(4))
def test_a_healthy_training_is_not_accused(seed: int) -> None:
    model = perceptron(32)
    torch.manual_seed(seed)
    x = torch.randn(640, 4)
    y = torch.sin(x.sum(1, keepdim=True))

    def loss(step: int) -> Tensor:
        rows = slice(64 * (step % 10), 64 * (step % 10) + 64)
        return F.mse_loss(model(x[rows]), y[rows])

    found = verdict_on(model, loss, 250)
    assert (found["class"], found["findings"]) == ("healthy", [])


def test_losses_that_play_against_each_other_are_not_called_rising() -> None:
    torch.manual_seed(0)
    generator, critic = perceptron(8), nn.Sequential(nn.Linear(1, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))
    of_g, of_c = torch.optim.SGD(generator.parameters(), 0.05), torch.optim.SGD(critic.parameters(), 0.05)
    with probe(nn.ModuleDict({"g": generator, "c": critic})) as p:
        for _ in range(80):
            of_c.zero_grad()
            (critic(generator(torch.randn(16, 4)).detach()).mean() - critic(torch.randn(16, 1) + 3).mean()).backward()
            of_c.step()
            of_g.zero_grad()
            (-critic(generator(torch.randn(16, 4))).mean()).backward()
            of_g.step()
    assert not [finding for finding in p.verdict()["findings"] if "loss" in finding["message"]]


@pytest.mark.parametrize("steps", [4, 10, 70])
def test_losses_of_small_batches_rise_and_fall_by_chance(steps: int) -> None:
    """Random labels, a learning rate that moves nothing: no loop is accused, however its last batches fell out."""
    accused = 0
    for seed in range(12):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 2))
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
        with probe(model, activations=False) as p:
            for _ in range(steps):
                optimizer.zero_grad()
                F.cross_entropy(2 * model(torch.randn(4, 6)), torch.randint(2, (4,))).backward()
                optimizer.step()
        accused += any(finding["kind"] == "divergence" for finding in p.verdict()["findings"])
    assert accused <= 1


class Gated(nn.Module):
    """A side branch whose last layer starts at zero, as in adapters and in conditioned diffusion models."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.condition, self.gate, self.head = (
            nn.Linear(10, 32),
            nn.Linear(4, 16),
            nn.Linear(16, 32),
            nn.Linear(32, 3),
        )
        self.branch = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 32))
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(x[:, :10])
        return self.head(h + self.gate(F.relu(self.condition(x[:, 10:]))) * self.branch(h))


class Adapted(nn.Module):
    """A frozen layer with a low-rank adapter that starts at zero, twice."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.ModuleList(nn.Linear(14, 14).requires_grad_(False) for _ in range(2))
        self.down = nn.ModuleList(nn.Linear(14, 3, bias=False) for _ in range(2))
        self.up = nn.ModuleList(nn.Linear(3, 14, bias=False) for _ in range(2))
        for layer in self.up:
            nn.init.zeros_(layer.weight)

    def forward(self, x: Tensor) -> Tensor:
        for frozen, down, up in zip(self.frozen, self.down, self.up, strict=True):
            x = torch.tanh(frozen(x) + up(down(x)))
        return x[:, :3]


@pytest.mark.parametrize("make", [Gated, Adapted])
def test_a_branch_that_starts_at_zero_is_healthy(make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    model = make()
    x, y = torch.randn(32, 14), torch.randint(3, (32,))
    found = verdict_on(model, lambda _: F.cross_entropy(model(x), y), 20, lr=0.01)
    assert (found["class"], found["findings"]) == ("healthy", [])


def test_weights_that_are_all_zero_stay_so() -> None:
    torch.manual_seed(0)
    model = perceptron()
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    x, y = torch.randn(32, 4), torch.randn(32, 1)
    found = verdict_on(model, lambda _: F.mse_loss(model(x), y), 12, lr=0.01)
    assert causes(found)[0] == ("symmetry", "symmetry")


def test_a_critic_is_cleared_at_its_own_turn() -> None:
    """The actor's loss goes through the critic and leaves gradients there, which the critic's next turn clears."""
    torch.manual_seed(0)
    both = nn.ModuleDict({"actor": perceptron(), "critic": nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 1))})
    of_actor = torch.optim.Adam(both["actor"].parameters(), lr=1e-3)
    of_critic = torch.optim.Adam(both["critic"].parameters(), lr=1e-3)

    def findings(forgets: torch.optim.Optimizer | None) -> list[str]:
        with probe(both, activations=False) as p:
            for _ in range(8):
                x = torch.randn(16, 4)
                action = both["actor"](x).detach()
                if forgets is not of_critic:
                    of_critic.zero_grad()
                F.mse_loss(both["critic"](torch.cat([x, action], 1)), torch.randn(16, 1)).backward()
                of_critic.step()
                if forgets is not of_actor:
                    of_actor.zero_grad()
                (-both["critic"](torch.cat([x, both["actor"](x)], 1)).mean()).backward()
                of_actor.step()
        return [finding["kind"] for finding in p.verdict()["findings"]]

    assert findings(None) == []
    assert "accumulated_gradients" in findings(of_actor)
    assert "accumulated_gradients" in findings(of_critic)


@pytest.mark.parametrize("order", ["between", "before step"])
def test_gradients_that_are_cleared_before_the_step(order: str) -> None:
    torch.manual_seed(0)
    model = perceptron()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    with probe(model) as p:
        for _ in range(6):
            if order == "before step":
                optimizer.zero_grad(set_to_none=False)
                optimizer.step()
            model(torch.randn(16, 4)).square().mean().backward()
            if order == "between":
                optimizer.zero_grad(set_to_none=False)
                optimizer.step()
    kinds = [finding["kind"] for finding in p.verdict()["findings"]]
    assert "no_update" in kinds


def test_a_loss_that_is_never_finite() -> None:
    """The logarithm of what a ReLU has cut off, whose derivative is finite."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))
    found = verdict_on(model, lambda _: model(torch.randn(16, 4)).mean() + torch.inf, 4)
    assert causes(found) == [("divergence", "targets or loss")]
    assert found["diverged"] == "step 0 in 2 (loss)"


def test_a_loss_may_take_the_log_softmax_of_one() -> None:
    model, x, y = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3)), torch.randn(16, 4), torch.arange(16) % 3
    found = verdict_on(model, lambda _: F.cross_entropy(model(x).log_softmax(1), y), 5)
    assert found["findings"] == []
    found = verdict_on(model, lambda _: F.cross_entropy(model(x).softmax(1), y), 5)
    assert causes(found) == [("double_activation", "loss")]
    of_one = lambda _: F.binary_cross_entropy_with_logits(model(x).sigmoid()[:, 0], (y > 1).float())  # noqa: E731
    assert causes(verdict_on(model, of_one, 5)) == [("double_activation", "loss")]


@pytest.mark.parametrize("shut", [0, 2, 4])
def test_a_layer_that_lets_nothing_through(shut: int) -> None:
    """Biases so low that no ReLU of the layer is on: that is the cause, and with the remedy the finding is gone."""
    torch.manual_seed(0)
    parts = [part for _ in range(3) for part in (nn.Linear(10, 10), nn.ReLU())]
    model = nn.Sequential(*parts, nn.Linear(10, 3))
    model[shut].bias.data.fill_(-20)
    x, y = torch.randn(64, 10), torch.randint(3, (64,))
    found = verdict_on(model, lambda _: F.cross_entropy(model(x), y), 5)
    told = [(one["kind"], one["cause"], one["layer"]) for one in found["findings"] if one["kind"] != "small_updates"]
    assert ("dead_units", told[-1][1], str(shut)) == told[-1]
    assert "biases that start at 0" in found["findings"][0]["remedy"] or found["class"] is None
    nn.init.zeros_(model[shut].bias)
    assert verdict_on(model, lambda _: F.cross_entropy(model(x), y), 5)["findings"] == []


def test_a_sum_over_batches_that_grow_is_no_rise() -> None:
    model = perceptron()
    torch.manual_seed(0)
    x = torch.randn(200, 4)
    y = x.sum(1, keepdim=True)
    sizes = [4 + 4 * step for step in range(40)]
    found = verdict_on(model, lambda i: F.mse_loss(model(x[: sizes[i]]), y[: sizes[i]], reduction="sum"), 40, lr=1e-3)
    assert found["findings"] == []


def test_a_loss_that_lets_nothing_through() -> None:
    """Behind the output is a ReLU that is shut."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3), nn.ReLU())
    nn.init.constant_(model[2].bias, -20.0)
    x, y = torch.randn(16, 4), torch.arange(16) % 3
    found = verdict_on(model, lambda _: F.cross_entropy(model(x), y), 10)
    assert ("no_gradient", "loss") in causes(found)
