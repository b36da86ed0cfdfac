"""The probe in loops and on modules of every kind: what it must count, and what it must not."""

import re
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from conftest import network_of
from gradpath.flow import record
from gradpath.flow.probe import Probe
from gradpath.model.network import MLP
from gradpath.verdict.probing import probe
from oracle import by_hand
from probing import Shared, batches, check, steps_of, twice


def test_only_what_belongs_to_the_step_is_counted() -> None:
    """A pass leaves no trace if it has no gradients or no backward pass, or if its gradients were thrown away."""
    (first, second), (ours, ours_opt), (theirs, theirs_opt) = (
        batches(2),
        *twice(lambda: network_of("relu", "none", [7, 6]).double()),
    )
    expected = by_hand(ours, [second], ours_opt)
    with probe(theirs) as p:
        F.cross_entropy(theirs(first[0]), first[1]).backward()
        theirs_opt.zero_grad()
        with torch.no_grad():
            theirs(first[0])
        theirs(first[0])
        F.cross_entropy(theirs(second[0]), second[1]).backward()
        theirs(first[0])
        # An optimiser of another model must not count.
        other = nn.Linear(2, 2)
        torch.optim.SGD(other.parameters(), lr=0.1).step()
        theirs_opt.step()
    check(p, [expected])


def test_columns_keep_their_names_when_the_record_is_read_early() -> None:
    model = nn.ModuleDict({"out": nn.Linear(5, 2), "a": nn.Linear(3, 5)})
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with probe(model) as p:
        assert p.record.steps == []
        for _ in range(2):
            model["out"](model["a"](torch.ones(4, 3))).mean().backward()
            optimizer.step()
            assert p.record.layers == ["a", "out"]
    norms = [model[name].weight.norm().item() for name in ("a", "out")]
    assert p.record.row(1)["weight_norm"] == pytest.approx(norms)


def test_layers_that_are_never_called_have_no_say() -> None:
    """One that nobody calls, and `out_proj` of torch's attention, a Linear of which only the weight is used."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    model = nn.Sequential(nn.Embedding(11, 8), nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(8, 3))
    model[2].unused = nn.Linear(3, 3)
    p = steps_of(model, torch.randint(11, (6, 5)), inputs=torch.randint(11, (2, 5)))
    assert p.verdict()["class"] == p.verdict()["end"]["class"] == "healthy"
    assert p.verdict()["diverged"] is None
    correlation = dict(zip(p.record.layers, p.record.row(0)["correlation"], strict=True))
    named = [name for name, module in model.named_modules() if isinstance(module, nn.Embedding | nn.MultiheadAttention)]
    assert all(np.isfinite(correlation[name]) for name in [*named, "1.layers.0.linear1", "1.layers.1.linear2", "2"])


def test_two_optimisers_in_turn() -> None:
    torch.manual_seed(0)
    network = MLP(3, [4], 2)
    first, second = (torch.optim.SGD(part.parameters(), lr=0.1) for part in network.blocks)
    with probe(network) as p:
        for _ in range(3):
            network(torch.ones(5, 3)).square().mean().backward()
            first.step()
            second.step()
            network.zero_grad()
    assert p.record.steps == [0, 1, 2]
    assert p.record.row(0)["update_ratio"][0] > 0
    assert p.record.row(0)["update_ratio"][1] > 0


def test_an_optimiser_of_more_than_the_probed_part() -> None:
    body, head = nn.Linear(3, 4), nn.Linear(4, 2)
    optimizer = torch.optim.SGD([*body.parameters(), *head.parameters()], lr=0.1)
    with probe(head) as p:
        head(body(torch.ones(5, 3))).mean().backward()
        optimizer.step()
    assert p.record.steps == [0]


def test_an_unused_first_parameter_and_accumulation() -> None:
    torch.manual_seed(0)
    model = Shared()
    (x, y), *_ = batches(1, features=4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    rows = []
    for parts in (1, 4):
        with probe(model) as p:
            optimizer.zero_grad()
            for part, labels in zip(x.chunk(parts), y.chunk(parts), strict=True):
                (F.cross_entropy(model(part), labels) / parts).backward()
            optimizer.step()
        rows.append(p.record.row(0)["delta"][:2])
    assert rows[1] == pytest.approx(rows[0], rel=1e-9)


def test_a_derivative_inside_the_loss_is_no_pass_of_its_own() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    x = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    h = network[0](x)
    (slope,) = torch.autograd.grad(network[2](network[1](h)).sum(), x, create_graph=True)
    (delta,) = torch.autograd.grad(slope.square().sum(1).mean(), h)
    expected = (delta * len(x)).square().sum(1).mean().sqrt().item()
    for parts in (1, 2):
        with probe(network) as p:
            optimizer.zero_grad()
            for part in x.chunk(parts):
                (slope,) = torch.autograd.grad(network(part).sum(), part, create_graph=True)
                (slope.square().sum(1).mean() / parts).backward()
            optimizer.step()
        assert p.record.row(0)["delta"][0] == pytest.approx(expected, rel=1e-9)


def test_a_single_sample_without_a_batch_dimension() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
    alone, batched = (steps_of(network, x, count=1).record.row(0) for x in (torch.ones(3), torch.ones(1, 3)))
    # The optimiser moved the weights a little in between.
    assert alone["delta"] == pytest.approx(batched["delta"], rel=0.2)


def test_two_forward_passes_before_one_backward() -> None:
    network = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
    with probe(network) as p:
        (network(torch.ones(4, 3)) - network(7 * torch.ones(4, 3))).square().mean().backward()
        torch.optim.SGD(network.parameters(), lr=0.0).step()
    assert np.isnan(p.record.row(0)["activation_mean"][1])


def test_modules_with_peculiar_weights_and_activations(tmp_path: Path) -> None:
    """Spectral norm computes its weight; PReLU per unit takes only its own width. Neither may break the loop."""
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.utils.parametrizations.spectral_norm(nn.Linear(4, 8))]
    for _ in range(12):
        layers += [nn.PReLU(8), nn.Linear(8, 8)]
    p = steps_of(nn.Sequential(*layers, nn.PReLU(8), nn.Linear(8, 2)), torch.randn(6, 4), folder=tmp_path / "odd")
    norms = [layer.weight.norm().item() for layer in layers[::2]]
    assert p.record.row(1)["weight_norm"] == pytest.approx([*norms, p.model[-1].weight.norm().item()], rel=0.05)
    assert p.record.row(0)["delta"].min() > 0
    assert "findings" in str(record.load(tmp_path / "odd")["verdict"])


def test_weights_of_zero_that_do_not_stay_equal() -> None:
    """A residual branch that starts at zero, as in ReZero, is healthy."""

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(4))
            self.head = nn.Linear(6, 2)
            nn.init.zeros_(self.layers[-1].weight)

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers:
                x = x + F.gelu(layer(x))
            return self.head(x)

    torch.manual_seed(0)
    assert steps_of(Residual(), torch.randn(7, 6)).verdict()["findings"] == []


class Stop(torch.autograd.Function):
    """The identity, which sends no gradient back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> None:  # type: ignore[override]
        return None


def test_no_gradient_at_all_comes_back() -> None:
    network = nn.ModuleList([nn.Linear(3, 5), nn.Linear(5, 2)])
    with probe(network) as p:
        network[1](Stop.apply(network[0](torch.ones(4, 3)))).square().mean().backward()
        torch.optim.SGD(network.parameters(), lr=0.0).step()
    delta = p.record.row(0)["delta"]
    assert np.isnan(delta[p.record.layers.index("0")])
    assert delta[p.record.layers.index("1")] > 0


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("early", [False, True])
def test_hooks_of_the_user_see_what_they_would_without_a_probe(inplace: bool, early: bool) -> None:
    """Hooks on a layer's output: set before ours (in a forward hook) or after, around a change in place, or removed."""

    def seen(measured: bool) -> tuple[list[Tensor], Probe | None]:
        torch.manual_seed(0)
        network = nn.ModuleList([nn.Linear(3, 5), nn.Linear(5, 2)])
        found: list[Tensor] = []

        def listen(module: Any, inputs: Any, h: Tensor) -> None:
            h.register_hook(lambda grad: found.append(grad.clone()))

        if early:
            network[0].register_forward_hook(listen)
        with probe(network) if measured else nullcontext() as p:
            for _ in range(2):
                h = network[0](torch.linspace(-1, 1, 12).reshape(4, 3))
                listen(None, None, h)
                h.register_hook(lambda grad: found.append(grad * 0)).remove()
                h = F.relu_(h) if inplace else F.relu(h)
                listen(None, None, h)
                network[1](h).square().mean().backward()
                torch.optim.SGD(network.parameters(), lr=0.0).step()
        return found, p

    without, _ = seen(False)
    with_probe, p = seen(True)
    assert len(without) == len(with_probe) == 2 * (2 + early)
    assert all(torch.equal(a, b) for a, b in zip(without, with_probe, strict=True))
    # The last gradient seen in a step is the one at the pre-activation itself.
    at_h = 4 * without[-1].double()
    assert p is not None
    assert p.record.row(1)["delta"][0] == pytest.approx(at_h.square().sum(1).mean().sqrt().item())


def test_delta_is_the_gradient_that_flows_on() -> None:
    """Delta is read after the user's hooks; a separate `autograd.grad` at the outputs is not counted as a backward pass."""
    torch.manual_seed(0)
    network = nn.ModuleList([nn.Linear(3, 5), nn.Linear(5, 2)])
    seen: list[Tensor] = []

    def clamp(grad: Tensor) -> Tensor:
        seen.append(grad.clamp(-1e-3, 1e-3))
        return seen[-1]

    with probe(network) as p:
        h = network[0](torch.linspace(-1, 1, 12).reshape(4, 3))
        h.register_hook(clamp)
        outputs = network[1](torch.tanh(h))
        loss = outputs.square().mean()
        loss.backward(retain_graph=True)
        torch.autograd.grad(loss, outputs)
        torch.optim.SGD(network.parameters(), lr=0.0).step()
    assert p.record.row(0)["delta"][0] == pytest.approx((4 * seen[0]).square().sum(1).mean().sqrt().item())


def test_another_input_is_no_activation() -> None:
    """One layer is used for two inputs in turn, with functions as activations."""
    network = nn.ModuleList([nn.Linear(3, 3), nn.Linear(6, 1)])
    with probe(network) as p:
        pair = [F.relu(network[0](torch.full((size, 3), 2.0)))[:2] for size in (2, 4)]
        network[1](torch.cat(pair, 1)).square().mean().backward()
        torch.optim.SGD(network.parameters(), lr=0.0).step()
    assert np.isnan(p.record.row(0)["activation_mean"]).all()


def test_a_part_without_gradient_has_no_say_in_the_verdict() -> None:
    encoder = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 5))
    head = nn.Sequential(nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 2))
    model = nn.ModuleList([encoder, head])
    optimizer = torch.optim.SGD(head.parameters(), lr=0.01)
    torch.manual_seed(0)
    with probe(model) as p:
        for _ in range(2):
            optimizer.zero_grad()
            head(encoder(torch.randn(8, 3)).detach()).square().mean().backward()
            optimizer.step()
    delta = dict(zip(p.record.layers, p.record.row(0)["delta"], strict=True))
    found = p.verdict()
    assert np.isnan(delta["0.0"])
    # Two fifths of the weights are to be trained, and no gradient was seen to reach them.
    assert found["coverage"] == {"share": 0.6, "missing": ["0.0.weight", "0.2.weight"]}
    assert (found["class"], found["ratio"], found["end"]["class"]) == (None, None, None)
    assert [(finding["kind"], finding["layer"]) for finding in found["findings"]] == [("no_gradient", "0.0")]
    encoder.requires_grad_(False)
    assert p.verdict()["coverage"] == {"share": 1.0, "missing": []}
    found = p.verdict()
    assert found["ratio"] == pytest.approx(delta["1.0"] / delta["1.2"])
    assert (found["class"], found["end"]["class"]) == ("healthy", "healthy")


def test_steps_of_two_optimizers_in_turn_when_few_are_measured() -> None:
    network = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
    optimizers = [torch.optim.SGD(network[i].parameters(), lr=0.01) for i in (0, 2)]
    with probe(network, every=2) as p:
        for _ in range(6):
            network(torch.ones(4, 3)).square().mean().backward()
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
    assert p.record.steps == [0, 2, 4]


def test_one_layer_before_two_activations() -> None:
    torch.manual_seed(0)
    first, relu, tanh = nn.Linear(3, 5), nn.ReLU(), nn.Tanh()
    network = nn.ModuleList([first, relu, tanh])
    x = torch.randn(16, 3)
    with probe(network) as p:
        (relu(first(x)) + tanh(first(-x))).square().mean().backward()
        torch.optim.SGD(network.parameters(), lr=0.0).step()
    together = torch.cat([torch.relu(first(x)), torch.tanh(first(-x))])
    assert p.record.row(0)["activation_mean"][0] == pytest.approx(together.mean().item(), rel=1e-5)


class Functional(nn.Module):
    """Fifteen layers whose activation is a function called in `forward`."""

    def __init__(self, phi: Callable[[Tensor], Tensor], sigma_w2: float | None) -> None:
        super().__init__()
        self.phi, self.layers = phi, nn.ModuleList(nn.Linear(100, 100) for _ in range(15))
        self.head = nn.Linear(100, 10)
        if sigma_w2:
            for layer in self.layers:
                nn.init.normal_(layer.weight, std=(sigma_w2 / 100) ** 0.5)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = self.phi(layer(x))
        return self.head(x)


@pytest.mark.parametrize(
    "phi", [F.relu, torch.tanh, F.gelu, F.silu, lambda h: h], ids=["relu", "tanh", "gelu", "silu", "linear"]
)
def test_the_remedy_for_an_activation_that_cannot_be_seen(phi: Callable[[Tensor], Tensor]) -> None:
    torch.manual_seed(0)
    (finding,) = steps_of(Functional(phi, None), torch.randn(64, 100)).verdict()["findings"][:1]
    scale = re.fullmatch(r"nn.init.normal_\(W, std=\((.*) / W.shape\[1\]\) .*", finding["remedy"])
    assert (finding["kind"], finding["cause"]) == ("vanishing", "initial scale")
    assert scale is not None
    assert f"its activation over 15 layers needs {scale[1]}" in finding["message"]
    assert steps_of(Functional(phi, float(scale[1])), torch.randn(64, 100)).verdict()["findings"] == []


def test_an_unseen_activation_that_no_scale_cures() -> None:
    torch.manual_seed(0)
    for sigma_w2 in (None, 2.0):
        (finding,) = steps_of(Functional(torch.sigmoid, sigma_w2), torch.randn(64, 100)).verdict()["findings"][:1]
        assert (finding["cause"], finding["remedy"].split(",")[0]) == ("activation", "nn.ReLU")
