"""The optimisers of conf/ against their update rules written out for two steps, and Muon's division of labour."""

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from gradpath.config.composition import CONF, compose
from gradpath.model.optimizers import Muon
from gradpath.run.build import build_optimizer

OPTIMIZERS = sorted(path.stem for path in (CONF / "optimizer").glob("*.yaml"))
START = torch.tensor([[0.5, -1.0], [2.0, 0.1]], dtype=torch.float64)
TARGET = torch.tensor([[0.4, 0.3], [-0.2, 0.1]], dtype=torch.float64)


def gradient(w: Tensor) -> Tensor:
    """The gradient of sum (w - target)^4 / 4."""
    return (w - TARGET) ** 3


def two_steps(option: str, *overrides: str) -> Tensor:
    config, _ = compose(f"optimizer={option}", *overrides)
    weight = nn.Parameter(START.clone())
    optimizer = build_optimizer(config["optimizer"], "32-true")([weight])
    for _ in range(2):
        weight.grad = gradient(weight.detach())
        optimizer.step()
    return weight.detach()


def sgd(w: Tensor, lr: float = 0.1) -> Tensor:
    for _ in range(2):
        w = w - lr * gradient(w)
    return w


def momentum(w: Tensor, lr: float = 0.05, mu: float = 0.9) -> Tensor:
    v = torch.zeros_like(w)
    for _ in range(2):
        v = mu * v + gradient(w)
        w = w - lr * v
    return w


def nesterov(w: Tensor, lr: float = 0.05, mu: float = 0.9) -> Tensor:
    v = torch.zeros_like(w)
    for _ in range(2):
        g = gradient(w)
        v = mu * v + g
        w = w - lr * (g + mu * v)
    return w


def rmsprop(w: Tensor, lr: float = 0.001, alpha: float = 0.99, eps: float = 1e-8) -> Tensor:
    s = torch.zeros_like(w)
    for _ in range(2):
        g = gradient(w)
        s = alpha * s + (1 - alpha) * g**2
        w = w - lr * g / (s.sqrt() + eps)
    return w


def adam(w: Tensor, lr: float = 0.001, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8, decay: float = 0.0) -> Tensor:
    m, s = torch.zeros_like(w), torch.zeros_like(w)
    for t in (1, 2):
        g = gradient(w)
        w = w - lr * decay * w
        m = b1 * m + (1 - b1) * g
        s = b2 * s + (1 - b2) * g**2
        w = w - lr * (m / (1 - b1**t)) / ((s / (1 - b2**t)).sqrt() + eps)
    return w


def adagrad(w: Tensor, lr: float = 0.01, eps: float = 1e-10) -> Tensor:
    s = torch.zeros_like(w)
    for _ in range(2):
        g = gradient(w)
        s = s + g**2
        w = w - lr * g / (s.sqrt() + eps)
    return w


@pytest.mark.parametrize("rule", [sgd, momentum, nesterov, rmsprop, adam, adagrad], ids=lambda r: r.__name__)
def test_two_steps_by_hand(rule: Callable[[Tensor], Tensor]) -> None:
    assert torch.allclose(two_steps(rule.__name__), rule(START), rtol=1e-10, atol=0)


def test_keys_reach_the_rule() -> None:
    assert torch.allclose(two_steps("momentum", "optimizer.momentum=0.5"), momentum(START, mu=0.5), rtol=1e-10)
    assert torch.allclose(two_steps("adam", "optimizer.betas=[0.5,0.9]"), adam(START, b1=0.5, b2=0.9), rtol=1e-10)
    assert torch.allclose(two_steps("adamw", "optimizer.weight_decay=0.1"), adam(START, decay=0.1), rtol=1e-10)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))


def test_muon_steps_hidden_matrices_orthogonally_and_the_rest_as_adamw() -> None:
    net, twin = network(), network()
    optimizer, adamw = Muon(net.parameters()), torch.optim.AdamW(twin.parameters(), lr=0.002)
    x = torch.randn(10, 4)
    for model, rule in ((net, optimizer), (twin, adamw)):
        model(x).square().mean().backward()
        before = [p.detach().clone() for p in model.parameters()]
        rule.step()
    parameters = list(zip(net.parameters(), twin.parameters(), before, strict=True))
    for index, (ours, theirs, start) in enumerate(parameters):
        if index != 2:
            assert torch.equal(ours, theirs)
            continue
        step = (ours - start * (1 - 0.002 * 0.01)) / 0.002
        singular = torch.linalg.svdvals(step / (0.2 * 6**0.5))
        # Five Newton-Schulz steps bring all but the faintest singular values near 1.
        assert singular[:4].min() > 0.6
        assert singular.max() < 1.3


@pytest.mark.parametrize("option", OPTIMIZERS)
def test_state_survives_saving(option: str) -> None:
    config, _ = compose(f"optimizer={option}")
    build = build_optimizer(config["optimizer"], "32-true")

    def train(net: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
        for step in range(steps):
            optimizer.zero_grad()
            x = torch.randn(10, 4, generator=torch.Generator().manual_seed(step))
            net(x).square().mean().backward()
            optimizer.step()

    whole = network()
    optimizer = build(whole.parameters())
    train(whole, optimizer, 3)
    saved, state = deepcopy(whole.state_dict()), deepcopy(optimizer.state_dict())
    resumed = network()
    resumed.load_state_dict(saved)
    fresh = build(resumed.parameters())
    fresh.load_state_dict(state)
    train(whole, optimizer, 3)
    train(resumed, fresh, 3)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))


def test_a_schedule_reaches_both_parts_of_muon() -> None:
    optimizer = Muon(network().parameters(), lr=1.0)
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.25)
    assert [group["lr"] for part in optimizer.parts for group in part.param_groups] == [0.25, 0.25]


def test_half_precision_takes_no_fused_optimizer() -> None:
    """Lightning leaves a fused optimiser's gradients scaled, so they would be measured and clipped 65536 times too large."""
    config, _ = compose("optimizer=adam")
    parameters = [nn.Parameter(START.clone())]
    for precision, fused in (("32-true", True), ("bf16-mixed", True), ("16-mixed", False)):
        optimizer = build_optimizer(config["optimizer"], precision)(parameters)
        assert optimizer.defaults["fused"] is fused
