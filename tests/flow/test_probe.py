"""The probe against independent float64 computations: autograd on a separate forward pass, and finite differences."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from conftest import ACTIVATIONS, NORMS, network_of
from gradpath.flow import record
from gradpath.flow.probe import Probe
from gradpath.model.network import MLP
from gradpath.verdict.probing import probe
from oracle import by_hand
from probing import Shared, batches, check, measured, steps_of, twice

# Outputs below the first or above the second limit count as saturated.
LIMITS = {"tanh": (-0.97, 0.97), "erf": (-0.97, 0.97), "hardtanh": (-0.97, 0.97), "sigmoid": (0.015, 0.985)}


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_quantity_equals_its_definition(activation: str, norm: str) -> None:
    steps = [[batch] for batch in batches(3)]
    (ours, ours_opt), (theirs, theirs_opt) = twice(lambda: network_of(activation, norm, [7, 6, 5]).double())
    expected = [by_hand(ours, step, ours_opt) for step in steps]
    p = measured(theirs, steps, theirs_opt, inputs=steps[0][0][0])
    check(p, expected)
    seen: list[Tensor] = []
    for step, row in enumerate(expected):
        got = p.record.row(step)
        for index, values in enumerate(row["outputs"][:-1]):
            limits = LIMITS.get(activation)
            if limits is None:
                assert np.isnan(got["saturated"][index])
            else:
                share = ((values < limits[0]) | (values > limits[1])).double().mean().item()
                assert got["saturated"][index] == pytest.approx(share, abs=1e-12)
        seen.append(row["outputs"][0])
        dead = (torch.cat(seen) == 0).all(0).double().mean().item()
        assert got["dead"][0] == pytest.approx(dead, abs=1e-12)
        assert np.isnan(got["dead"][-1])


@pytest.mark.parametrize("norm", ["none", "batch_before", "batch_after"])
def test_delta_equals_finite_differences(norm: str) -> None:
    """Delta by its definition, without autograd: one pre-activation of one sample is bumped, and the loss compared."""
    torch.manual_seed(0)
    network = network_of("tanh", norm, [4, 3]).double()
    (x, y), *_ = batches(1)
    p = measured(network, [[(x, y)]], torch.optim.SGD(network.parameters(), lr=0.0), activations=False)

    def loss(layer: int, bump: Tensor) -> float:
        hook = network.linears[layer].register_forward_hook(lambda _m, _x, h: h + bump)
        value = F.cross_entropy(network(x), y).item()
        hook.remove()
        return value

    for layer, width in enumerate((4, 3, 3)):
        squares = 0.0
        for sample in range(len(x)):
            for unit in range(width):
                bump = torch.zeros(len(x), width, dtype=torch.float64)
                bump[sample, unit] = 1e-5
                with torch.no_grad():
                    slope = (loss(layer, bump) - loss(layer, -bump)) / 2e-5
                squares += (slope * len(x)) ** 2 / len(x)
        assert p.record.row(0)["delta"][layer] == pytest.approx(squares**0.5, rel=1e-6)


@pytest.mark.parametrize("norm", NORMS)
def test_accumulation(norm: str) -> None:
    data = batches(6)
    steps = [data[:3], data[3:]]
    (ours, ours_opt), (theirs, theirs_opt) = twice(lambda: network_of("relu", norm, [7, 6]).double())
    check(measured(theirs, steps, theirs_opt), [by_hand(ours, step, ours_opt) for step in steps])


def test_clipping_keeps_both_norms() -> None:
    steps = [[batch] for batch in batches(3)]
    (ours, ours_opt), (theirs, theirs_opt) = twice(lambda: network_of("gelu", "none", [7, 6]).double())
    p = measured(theirs, steps, theirs_opt, clip=0.01)
    check(p, [by_hand(ours, step, ours_opt, clip=0.01) for step in steps])
    row = p.record.row(0)
    total = np.sqrt((row["weight_grad_norm_clipped"] ** 2).sum())
    assert total < 0.01 < np.sqrt((row["weight_grad_norm"] ** 2).sum())


def test_compiled_networks_are_watched() -> None:
    steps = [[batch] for batch in batches(4)]
    (ours, ours_opt), (theirs, theirs_opt) = twice(lambda: network_of("tanh", "batch_before", [7, 6]).double())
    expected = [by_hand(ours, step, ours_opt) for step in steps]
    compiled = torch.compile(theirs, backend="aot_eager")
    p = measured(compiled, steps, theirs_opt, every=2)
    assert p.record.steps == [0, 2]
    for place, step in enumerate((0, 2)):
        for name in ("delta", "weight_grad_norm", "update_ratio", "activation_variance"):
            assert p.record.row(place)[name] == pytest.approx(expected[step][name], rel=1e-6, nan_ok=True)


def test_automatic_mixed_precision_is_unscaled() -> None:
    """The scaler's factor of 65536 is taken out. bfloat16 has 8 bits, which leaves 2 % of error at the end of a chain."""
    steps = [[batch] for batch in batches(2, size=64)]
    (ours, ours_opt), (theirs, _) = twice(lambda: network_of("tanh", "none", [32, 32]).double())
    expected = by_hand(ours, steps[0], ours_opt)
    theirs = theirs.float()
    optimizer = torch.optim.Adam(theirs.parameters(), lr=0.01)
    scaler = torch.amp.GradScaler("cpu")
    x, y = steps[0][0]
    with probe(theirs, scaler=scaler) as p:
        with torch.autocast("cpu", torch.bfloat16):
            loss = F.cross_entropy(theirs(x.float()), y)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    row = p.record.row(0)
    for name in (
        "delta",
        "delta_rms",
        "weight_grad_norm",
        "weight_grad_norm_clipped",
        "bias_grad_norm",
        "activation_variance",
    ):
        assert row[name] == pytest.approx(expected[name], rel=2e-2, nan_ok=True), name


def test_tiny_and_huge_gradients_in_float32() -> None:
    """1e-25 squared is beyond float32, so the sum is taken again in float64."""
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    x = torch.randn(6, 4)
    for scale in (1e-25, 1e25):
        with probe(network) as p:
            optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
            optimizer.zero_grad()
            (network(x).square().sum(1).mean() * scale).backward()
            optimizer.step()
        copy = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2)).double()
        copy.load_state_dict(network.state_dict())
        (copy(x.double()).square().sum(1).mean() * scale).backward()
        assert p.record.row(0)["weight_grad_norm"] == pytest.approx(
            [copy[i].weight.grad.norm().item() for i in (0, 1)], rel=1e-5
        )
        assert 0 < p.record.row(0)["delta"][0] < float("inf")


def test_correlation_rank_and_the_untouched_statistics() -> None:
    torch.manual_seed(0)
    network = network_of("relu", "batch_before", [7, 6]).double()
    twin = network_of("relu", "batch_before", [7, 6]).double()
    twin.load_state_dict(network.state_dict())
    data = batches(2)
    fixed = data[1][0]
    p = measured(network, [data[:1]], torch.optim.SGD(network.parameters(), lr=0.0), inputs=fixed, rank=True)
    x, cosines = fixed, []
    for block in twin.blocks:
        h = block.linear(x)
        cosines.append(F.cosine_similarity(h[0], h[1], dim=0).item())
        x = block(x)
    assert p.record.row(0)["correlation"] == pytest.approx(cosines, rel=1e-9)
    assert p.record.row(0)["rank"].tolist() == [np.linalg.matrix_rank(w.weight.detach().numpy()) for w in twin.linears]
    # BatchNorm saw the step's own batch and nothing else.
    fresh = network_of("relu", "batch_before", [7, 6]).double()
    fresh.load_state_dict(
        {k: v for k, v in twin.state_dict().items() if "running" not in k and "tracked" not in k}, strict=False
    )
    fresh(data[0][0])
    for name, value in fresh.state_dict().items():
        if "running" in name:
            assert torch.allclose(network.state_dict()[name], value), name


def test_all_but_the_gradients_can_be_read_less_often() -> None:
    steps = [[batch] for batch in batches(4)]
    (ours, ours_opt), (theirs, theirs_opt) = twice(lambda: network_of("relu", "none", [7, 6]).double())
    expected = [by_hand(ours, step, ours_opt) for step in steps]
    p = measured(theirs, steps, theirs_opt, slow_every=3)
    for step, row in enumerate(expected):
        got = p.record.row(step)
        assert got["delta"] == pytest.approx(row["delta"])
        assert got["bias_grad_norm"] == pytest.approx(row["bias_grad_norm"])
        for name in ("weight_norm", "weight_grad_ratio", "update_ratio", "activation_mean", "activation_variance"):
            assert got[name] == pytest.approx(row[name] if step % 3 == 0 else [np.nan] * 3, nan_ok=True), (name, step)


def test_the_network_is_left_as_it_was() -> None:
    network = network_of("relu", "none", [7, 6])
    with probe(network):
        network(torch.randn(4, 5)).sum().backward()
    assert not any(module._forward_hooks for module in network.modules())
    with pytest.raises(ValueError, match="no layer with weights"):
        Probe(nn.Sequential(nn.LayerNorm(3), nn.ReLU()))


def test_a_folder_keeps_the_record(tmp_path: Path) -> None:
    network = network_of("relu", "none", [7, 6]).double()
    p = measured(
        network, [[batch] for batch in batches(3)], torch.optim.SGD(network.parameters(), lr=0.1), folder=tmp_path / "x"
    )
    saved = record.load(tmp_path / "x")
    assert saved["step"].tolist() == [0, 1, 2]
    assert saved["delta"].shape == (3, 3)
    assert saved["delta"][1].tolist() == p.record.row(1)["delta"].tolist()


@pytest.mark.parametrize(
    ("break_", "layer", "quantity"),
    [
        (lambda net: net.linears[1].weight.data.fill_(float("nan")), "blocks.1.linear", "weight"),
        (lambda net: net.linears[0].bias.data.fill_(float("inf")), "blocks.0.linear", "activation"),
    ],
    ids=["weight", "forward"],
)
def test_the_first_value_that_is_not_finite(break_: Callable[[MLP], object], layer: str, quantity: str) -> None:
    torch.manual_seed(0)
    network = network_of("tanh" if quantity == "weight" else "relu", "none", [7, 6]).double()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    with probe(network) as p:
        for step, (x, y) in enumerate(batches(4)):
            if step == 2:
                break_(network)
            optimizer.zero_grad()
            F.cross_entropy(network(x), y).backward()
            optimizer.step()
            if step == 1:
                assert p.verdict()["diverged"] is None
    assert p.verdict()["diverged"] == f"step 2 in {layer} ({quantity})"


def test_a_gradient_that_breaks_on_its_way_back() -> None:
    """sqrt has an infinite slope at 0, so the forward pass is finite and the gradient behind it is not."""

    model = nn.ModuleDict({"first": nn.Linear(3, 4), "second": nn.Linear(4, 4), "third": nn.Linear(4, 2)})
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with probe(model) as p:
        for step in range(2):
            h = model["first"](torch.ones(5, 3))
            if step == 1:
                h = torch.sqrt(h * 0) + h
            loss = model["third"](model["second"](h)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert p.verdict()["diverged"] == "step 1 in first (delta)"


def test_what_a_probe_refuses(tmp_path: Path) -> None:
    network = MLP(3, [4], 2)
    for wrong, message in (
        ({"every": 0}, "every=0"), ({"slow_every": 0}, "slow_every=0"), ({"inputs": torch.ones(1, 3)}, "two samples"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            Probe(network, **wrong)
    with pytest.raises(ValueError, match="has no shape yet"):
        Probe(nn.Sequential(nn.LazyLinear(3)))
    steps_of(network, torch.ones(4, 3), folder=tmp_path / "once")
    with pytest.raises(ValueError, match="holds a record already"):
        steps_of(network, torch.ones(4, 3), folder=tmp_path / "once")


def test_divergence_is_a_finding_in_any_loop() -> None:
    network = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 2))
    with probe(network) as p:
        for step in range(2):
            network(torch.full((4, 3), 1.0 if step == 0 else float("nan"))).mean().backward()
            torch.optim.SGD(network.parameters(), lr=0.0).step()
            network.zero_grad()
    assert p.verdict()["diverged"] == "step 1 in 0 (activation)"
    assert p.verdict()["findings"][0]["kind"] == "divergence"


def test_frozen_layers_take_no_part_and_stay() -> None:
    """The layers above and below a frozen one are measured as they were; what is below all trained layers is not."""
    torch.manual_seed(0)
    free, frozen = (network_of("relu", "none", [7, 6]).double() for _ in range(2))
    frozen.load_state_dict(free.state_dict())
    # In-place activations (`nn.ReLU(inplace=True)`) overwrite the tensor that leaves the frozen layer.
    for block in frozen.blocks[:-1]:
        block.activation.inplace = True
    frozen.linears[0].requires_grad_(False)
    data = batches(1)
    expected = by_hand(free, data, torch.optim.SGD(free.parameters(), lr=0.1))
    p = measured(frozen, [data], torch.optim.SGD(frozen.parameters(), lr=0.1))
    row = {name: dict(zip(p.record.layers, values, strict=True)) for name, values in p.record.row(0).items()}
    names = [name for name, module in frozen.named_modules() if isinstance(module, nn.Linear)]
    assert [row["delta"][name] for name in names[1:]] == pytest.approx(expected["delta"][1:])
    assert np.isnan([row["delta"][names[0]], row["weight_grad_norm"][names[0]]]).all()
    assert row["update_ratio"][names[0]] == 0
    assert [row["update_ratio"][name] for name in names[1:]] == pytest.approx(expected["update_ratio"][1:])


def test_features_of_a_frozen_part_are_used_again() -> None:
    """They need no gradient, with the probe as without it."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Sequential(nn.Linear(6, 16), nn.ReLU()), nn.Linear(16, 3))
    model[0].requires_grad_(False)
    optimizer = torch.optim.SGD(model[1].parameters(), lr=0.1)
    with probe(model) as p:
        features = model[0](torch.randn(8, 6))
        assert features.is_leaf
        assert not features.requires_grad
        for _ in range(3):
            optimizer.zero_grad()
            F.cross_entropy(model[1](features), torch.arange(8) % 3).backward()
            optimizer.step()
    assert p.record.steps == [0, 1, 2]


def test_a_layer_used_twice() -> None:
    torch.manual_seed(0)
    model = Shared()
    (x, y), *_ = batches(1, features=4)
    h1 = model.twice(x)
    h2 = model.twice(F.relu(h1))
    h3 = model.last(F.relu(h2))
    g1, g2, g3, dw = torch.autograd.grad(F.cross_entropy(h3, y), [h1, h2, h3, model.twice.weight])
    p = measured(model, [[(x, y)]], torch.optim.SGD(model.parameters(), lr=0.1))
    assert p.record.layers == ["twice", "last", "unused"]
    row = p.record.row(0)
    both = (g1.square().sum(1) + g2.square().sum(1)) * len(x) ** 2
    assert row["delta"][:2] == pytest.approx(
        [both.mean().sqrt().item(), (g3.norm(dim=1) * len(x)).square().mean().sqrt().item()]
    )
    assert row["weight_grad_norm"][0] == pytest.approx(dw.norm().item())
    assert row["update_ratio"][:2] == pytest.approx(
        [0.1 * row["weight_grad_norm"][i] / row["weight_norm"][i] for i in range(2)], rel=1e-9
    )
    assert np.isnan(row["bias_grad_norm"][0])
    assert np.isnan(row["delta"][2])
    # A functional activation is the input of the next layer; both uses are taken together.
    inside = torch.cat([F.relu(h1), F.relu(h2)]).detach()
    assert row["activation_mean"][0] == pytest.approx(inside.mean().item())
    assert row["activation_variance"][0] == pytest.approx(inside.var(correction=0).item())
