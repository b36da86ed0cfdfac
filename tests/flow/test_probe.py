"""The probe against float64 computations written out here: autograd on a forward pass of its own, finite differences."""

import socket
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from by_hand import Batch, by_hand
from conftest import ACTIVATIONS, NORMS, network_of
from gradpath.flow import record
from gradpath.flow.probe import WINDOW, Probe, probe
from gradpath.network import MLP

# |phi| beyond which a bounded activation counts as saturated, written out.
LIMITS = {"tanh": (-0.97, 0.97), "erf": (-0.97, 0.97), "hardtanh": (-0.97, 0.97), "sigmoid": (0.015, 0.985)}


def batches(count: int, size: int = 8, features: int = 5, classes: int = 3) -> list[Batch]:
    generator = torch.Generator().manual_seed(1)
    return [
        (
            3 * torch.randn(size, features, dtype=torch.float64, generator=generator),
            torch.randint(classes, (size,), generator=generator),
        )
        for _ in range(count)
    ]


def measured(
    network: nn.Module, steps: list[list[Batch]], optimizer: torch.optim.Optimizer, clip: float | None = None, **options: Any
) -> Probe:
    """The same steps in a plain loop, with the probe around it."""
    with probe(network, **options) as p:
        for micro in steps:
            optimizer.zero_grad()
            for x, y in micro:
                (F.cross_entropy(network(x), y) / len(micro)).backward()
            if clip is not None:
                torch.nn.utils.clip_grad_norm_(network.parameters(), clip)
            optimizer.step()
    return p


def twice(make: Callable[[], MLP]) -> Iterator[tuple[MLP, torch.optim.Optimizer]]:
    """Two equal networks with their optimisers."""
    for _ in range(2):
        torch.manual_seed(0)
        network = make()
        yield network, torch.optim.Adam(network.parameters(), lr=0.01)


def check(p: Probe, expected: list[dict[str, Any]], rel: float = 1e-6) -> None:
    assert p.record is not None
    assert p.record.steps == list(range(len(expected)))
    for step, row in enumerate(expected):
        got = p.record.row(step)
        for name in set(row) & set(got):
            assert got[name] == pytest.approx(row[name], rel=rel, abs=1e-12, nan_ok=True), (name, step)


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
    """The loss bumped at one pre-activation of one sample: the definition of delta, without autograd."""
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
    """bfloat16 has 8 bits: 2 % at the end of a chain; the scaler's 65536 is not in it."""
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


class Shared(nn.Module):
    """One matrix used twice, an unused one, functional activations."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Linear(4, 4)
        self.last = nn.Linear(4, 3)
        self.twice = nn.Linear(4, 4, bias=False)
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(F.relu(self.twice(F.relu(self.twice(x)))))


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
    # Functional activations: what the next layer takes in; of both uses together.
    inside = torch.cat([F.relu(h1), F.relu(h2)]).detach()
    assert row["activation_mean"][0] == pytest.approx(inside.mean().item())
    assert row["activation_variance"][0] == pytest.approx(inside.var(correction=0).item())


def test_frozen_layers_are_measured_and_stay() -> None:
    torch.manual_seed(0)
    free, frozen = (network_of("relu", "none", [7, 6]).double() for _ in range(2))
    frozen.load_state_dict(free.state_dict())
    # In place, as `nn.ReLU(inplace=True)` is: the tensor that leaves the frozen layer is overwritten.
    for block in frozen.blocks[:-1]:
        block.activation.inplace = True
    frozen.linears[0].requires_grad_(False)
    data = batches(1)
    expected = by_hand(free, data, torch.optim.SGD(free.parameters(), lr=0.1))
    p = measured(frozen, [data], torch.optim.SGD(frozen.parameters(), lr=0.1))
    row = p.record.row(0)
    assert row["delta"] == pytest.approx(expected["delta"])
    assert np.isnan(row["weight_grad_norm"][0])
    assert row["update_ratio"][0] == 0
    assert row["update_ratio"][1:] == pytest.approx(expected["update_ratio"][1:])


def test_only_what_belongs_to_the_step_is_counted() -> None:
    """Passes without gradients, without a backward, or whose gradients were thrown away, leave no trace."""
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
        # Another model's optimiser is another model's business.
        other = nn.Linear(2, 2)
        torch.optim.SGD(other.parameters(), lr=0.1).step()
        theirs_opt.step()
    check(p, [expected])


def test_dead_units_are_silent_for_a_whole_window() -> None:
    """A unit that last spoke WINDOW samples ago is dead, one that spoke a sample later is not."""
    network = MLP(1, [3], 1).double()
    with torch.no_grad():
        network.linears[0].weight.copy_(torch.tensor([[1.0], [-1.0], [0.0]]))
        network.linears[0].bias.zero_()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    size, shares = WINDOW // 4, []
    with probe(network) as p:
        for sign in (1, -1, 1, 1, 1, 1, -1):
            optimizer.zero_grad()
            network(sign * torch.ones(size, 1, dtype=torch.float64)).mean().backward()
            optimizer.step()
            shares.append(p.record.row(-1)["dead"][0])
    # The third unit never speaks; the second has been silent for four batches at the sixth step.
    assert shares == pytest.approx([2 / 3, 1 / 3, 1 / 3, 1 / 3, 1 / 3, 2 / 3, 1 / 3])


def test_tiny_and_huge_gradients_in_float32() -> None:
    """1e-25 squared is beyond float32: the sum is taken again in float64."""
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
    # Seen by BatchNorm: the step's own batch and nothing else.
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
    with pytest.raises(ValueError, match=r"no nn\.Linear"):
        Probe(nn.Conv2d(1, 1, 1))


def test_a_folder_keeps_the_record(tmp_path: Path) -> None:
    network = network_of("relu", "none", [7, 6]).double()
    p = measured(
        network, [[batch] for batch in batches(3)], torch.optim.SGD(network.parameters(), lr=0.1), folder=tmp_path / "x"
    )
    saved = record.load(tmp_path / "x")
    assert saved["step"].tolist() == [0, 1, 2]
    assert saved["delta"].shape == (3, 3)
    assert saved["delta"][1].tolist() == p.record.row(1)["delta"].tolist()


def _in_two_processes(rank: int, port: int, folder: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    torch.manual_seed(0)
    network = network_of("relu", "none", [7, 6]).double()
    model = nn.parallel.DistributedDataParallel(network)
    halves = [[(x[rank::2], y[rank::2])] for x, y in batches(3)]
    measured(model, halves, torch.optim.Adam(network.parameters(), lr=0.01), clip=0.01, folder=f"{folder}/{rank}")
    torch.distributed.destroy_process_group()


def test_two_processes_see_what_one_sees(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(_in_two_processes, (port, str(tmp_path)), nprocs=2)
    torch.manual_seed(0)
    network = network_of("relu", "none", [7, 6]).double()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    expected = [by_hand(network, [batch], optimizer, clip=0.01) for batch in batches(3)]
    for rank in (0, 1):
        saved = record.load(tmp_path / str(rank))
        for step, row in enumerate(expected):
            for name in set(row) & set(saved):
                assert saved[name][step] == pytest.approx(row[name], rel=1e-6, nan_ok=True), (name, step, rank)
        seen = torch.cat([row["outputs"][0] for row in expected])
        assert saved["dead"][-1, 0] == pytest.approx((seen == 0).all(0).double().mean().item())


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
    """sqrt has an infinite slope at 0: the forward pass is fine, the gradient behind it is not."""

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


def steps_of(model: nn.Module, batch: Tensor, count: int = 2, **options: Any) -> Probe:
    """A few steps of SGD on the mean square of the outputs."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with probe(model, **options) as p:
        for _ in range(count):
            optimizer.zero_grad()
            model(batch).square().mean().backward()
            optimizer.step()
    return p


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
    """`out_proj` of torch's attention is a Linear whose weight is used, and which is never called."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    model = nn.Sequential(nn.Embedding(11, 8), nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(8, 3))
    p = steps_of(model, torch.randint(11, (6, 5)), inputs=torch.randint(11, (2, 5)))
    assert p.verdict()["class"] == p.verdict()["end"]["class"] == "healthy"
    assert p.verdict()["diverged"] is None
    assert np.isfinite(p.record.row(0)["correlation"][:4]).all()


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
    assert np.isnan(p.record.row(0)["update_ratio"][1])


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
    assert np.isnan(p.record.row(0)["weight_norm"][0])
    assert p.record.row(0)["delta"].min() > 0
    assert "findings" in str(record.load(tmp_path / "odd")["verdict"])


def test_weights_of_zero_that_do_not_stay_equal() -> None:
    """A residual branch that starts at zero, as in ReZero: healthy."""

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


def test_divergence_is_a_finding_in_any_loop() -> None:
    network = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 2))
    with probe(network) as p:
        for step in range(2):
            network(torch.full((4, 3), 1.0 if step == 0 else float("nan"))).mean().backward()
            torch.optim.SGD(network.parameters(), lr=0.0).step()
            network.zero_grad()
    assert p.verdict()["diverged"] == "step 1 in 0 (activation)"
    assert p.verdict()["findings"][0]["kind"] == "divergence"


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


class Stop(torch.autograd.Function):
    """The identity; sends no gradient back."""

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
    """On a layer's output: set before ours (in a forward hook) or after it, before and after a change in place, removed."""

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
    # The last of a step is that at the pre-activation itself.
    at_h = 4 * without[-1].double()
    assert p is not None
    assert p.record.row(1)["delta"][0] == pytest.approx(at_h.square().sum(1).mean().sqrt().item())


def test_delta_is_the_gradient_that_flows_on() -> None:
    """After hooks of the user have changed it; that of the outputs, asked for as well, is no backward pass."""
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
    """A layer used for two inputs in turn, with functions as activations."""
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


class Experts(nn.Module):
    """Two layers, of which every process uses its own."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList(
            [nn.Sequential(nn.Linear(3, width), nn.Tanh(), nn.Linear(width, 2)) for width in (4, 6)]
        )

    def forward(self, x: Tensor, which: int) -> Tensor:
        outputs: Tensor = self.experts[which](x)
        return outputs


def experts_process(rank: int, port: int, folder: str) -> None:
    torch.distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    torch.manual_seed(0)
    model = nn.parallel.DistributedDataParallel(Experts(), find_unused_parameters=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with probe(model) as p:
        model(torch.full((4, 3), 0.5 + rank), rank).square().mean().backward()
        optimizer.step()
    p.record.save(Path(folder) / str(rank))
    torch.distributed.destroy_process_group()


def test_layers_that_only_one_process_uses(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for rank in (0, 1):
        (tmp_path / str(rank)).mkdir()
    torch.multiprocessing.spawn(experts_process, args=(port, str(tmp_path)), nprocs=2)
    torch.manual_seed(0)
    alone = Experts()
    for which, rank in ((0, 0), (1, 1)):
        with probe(alone.experts[which]) as p:
            alone(torch.full((4, 3), 0.5 + rank), which).square().mean().backward()
            torch.optim.SGD(alone.parameters(), lr=0.0).step()
        expected, saved = p.record.row(0), record.load(tmp_path / "0")
        columns = [saved["layer"].tolist().index(f"experts.{which}.{name}") for name in (0, 2)]
        for name in ("delta", "activation_mean", "activation_variance", "saturated", "dead"):
            assert saved[name][0, columns] == pytest.approx(expected[name], rel=1e-5, nan_ok=True), (name, which)
