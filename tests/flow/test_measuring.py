"""The gradients at the stations of networks of many kinds, against autograd in float64; and nothing else is changed."""

import copy
import gc
import io
import itertools
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from gradpath.flow import backward, places
from gradpath.flow.kinds import layers
from gradpath.flow.measuring import Measuring
from gradpath.flow.places import Seen, in_step
from gradpath.studies.ways_by_hand import Network, loss_of, norms_at
from gradpath.studies.zoo_networks import MORE, made


@contextmanager
def measured(model: nn.Module) -> Iterator[list[Seen]]:
    passes: list[Seen] = []
    gauge = Measuring(model, {layer.module: layer for layer in layers(model)}, passes.append)
    gauge.attach()
    try:
        yield passes
    finally:
        gauge.detach()
        gauge.detach()
        assert not gauge.plans
        assert not gauge.stack
        assert not torch.nn.modules.module._has_any_global_hook()
        assert not backward._listeners


def read(seen: Seen) -> list[list[tuple[str, float]]]:
    return [[(place.name, float(place.square or 0) ** 0.5) for place in way] for way in seen.ways]


def names(seen: Seen) -> set[str]:
    return {place.name for place in seen.places}


def compare(seen: Seen, expected: list[list[tuple[str, float]]]) -> None:
    got, expected = sorted(read(seen)), sorted(expected)
    assert [[name for name, _ in way] for way in got] == [[name for name, _ in way] for way in expected]
    for ours, theirs in zip(got, expected, strict=True):
        assert [norm for _, norm in ours] == pytest.approx([norm for _, norm in theirs], rel=1e-9)


def gradients(network: Network, x: Tensor) -> list[Tensor]:
    network.zero_grad()
    loss_of(network(x)).backward()
    return [p.grad for p in network.parameters() if p.grad is not None]


@pytest.mark.parametrize("name", MORE)
def test_the_stations_of_a_network(name: str) -> None:
    network, x = made(name)
    plain = gradients(network, x)
    expected = norms_at(network, loss_of(network(x)))
    with measured(network) as passes:
        beside = gradients(network, x)
        beside_again = gradients(network, x)
    assert all(torch.equal(a, b) and torch.equal(a, c) for a, b, c in zip(plain, beside, beside_again, strict=True))
    for seen in passes:
        compare(seen, expected)
    assert len(passes) == 2
    trained = {n for n, m in network.named_modules() if any(p.requires_grad for p in m.parameters(recurse=False))}
    assert {place.layer.name for way in passes[0].ways for place in way if place.layer} <= trained


def test_every_layer_is_measured_on_the_way_or_beside_it() -> None:
    network, x = made("pre-norm transformer")
    with measured(network) as passes:
        gradients(network, x)
    (seen,) = passes
    called = {name for name, module in network.named_modules() if isinstance(module, nn.Linear | nn.Embedding)}
    assert called <= names(seen)
    assert set(seen.beside["blocks.1.down +"]) == {"blocks.1.up", "blocks.1.down"}
    assert {place.entries for place in seen.places if place.name == "blocks.1.up"} == {4 * 7 * 8}


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointed_blocks_are_on_the_way_in_their_order(reentrant: bool) -> None:
    network, x = made("plain")
    (expected,) = norms_at(network, loss_of(network(x)))

    def pair(index: int, x: Tensor) -> Tensor:
        return torch.tanh(network.layers[index + 1](torch.tanh(network.layers[index](x))))

    with measured(network) as passes:
        h = torch.tanh(network.layers[0](x))
        for index in (1, 3, 5):
            h = checkpoint(pair, index, h, use_reentrant=reentrant)
        loss_of(torch.tanh(network.layers[7](h))).backward()
    (seen,) = passes
    compare(seen, [expected])


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad:UserWarning")
def test_checkpoints_inside_each_other_that_use_one_layer_twice() -> None:
    torch.manual_seed(0)
    model = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)]).double()
    x = torch.randn(5, 4, dtype=torch.float64)
    h = [model[0](x)]
    h.append(model[1](torch.tanh(h[0])))
    h.append(model[1](torch.tanh(h[1])))
    h.append(model[2](torch.tanh(h[2])))
    expected = [g.norm().item() for g in torch.autograd.grad(loss_of(h[3]), h)]

    def once(x: Tensor) -> Tensor:
        return model[1](torch.tanh(x))

    with measured(model) as passes:
        z = checkpoint(lambda x: checkpoint(once, once(x), use_reentrant=True), model[0](x), use_reentrant=True)
        loss_of(model[2](torch.tanh(z))).backward()
    (seen,) = passes
    compare(seen, [list(zip(["0", "1", "1#2", "2"], expected, strict=True))])


def test_two_losses_and_a_graph_that_is_run_twice() -> None:
    trunk, one, two = nn.Linear(3, 3), nn.Linear(3, 1), nn.Linear(3, 1)
    model = nn.ModuleDict({"trunk": trunk, "one": one, "two": two}).double()
    x = torch.ones(2, 3).double()
    with measured(model) as passes:
        h = trunk(x)
        a, b = one(torch.tanh(h)).sum(), two(torch.sin(h)).sum()
        expected = [torch.autograd.grad(y, h, retain_graph=True)[0].norm().item() for y in (a, b, a + b)]
        passes.clear()
        a.backward(retain_graph=True)
        b.backward()
        assert [[place.name for place in seen.ways[0]] for seen in passes] == [["trunk", "one"], ["trunk", "two"]]
        # Passes through one graph belong to one batch, whose gradient is their sum.
        assert [own for _, own in in_step(passes)] == [True, False]
        (place,) = {place for seen in passes for place in seen.places if place.name == "trunk"}
        assert float(place.square or 0) ** 0.5 == pytest.approx(expected[2])


def test_a_pass_through_a_derivative_counts_the_derivative_itself_does_not() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)).double()
    x = torch.ones(4, 2).double().requires_grad_()
    with measured(model) as passes:
        y = model(x)
        (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        (y.mean() + slope.square().sum()).backward()
        with torch.no_grad():
            model(x)
        model(x)
        model(x).mean().backward()
    assert [names(seen) for seen in passes] == [{"0", "2"}] * 2


def test_complex_layers_have_the_norm_of_both_parts() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(*[nn.Linear(3, 3, dtype=torch.complex128) for _ in range(2)])
    h = model[0](torch.randn(4, 3, dtype=torch.complex128))
    out = model[1](h)
    expected = [g.abs().square().sum().item() for g in torch.autograd.grad(out.abs().square().mean(), [h, out])]
    torch.manual_seed(0)
    model = nn.Sequential(*[nn.Linear(3, 3, dtype=torch.complex128) for _ in range(2)])
    with measured(model) as passes:
        model(torch.randn(4, 3, dtype=torch.complex128)).abs().square().mean().backward()
    found = {place.name: place.square for place in passes[0].places}
    assert found == pytest.approx({"0": expected[0], "1": expected[1]})


def test_nothing_travels_and_nothing_is_kept() -> None:
    network, x = made("residual conv net")
    before = io.BytesIO()
    torch.save(network.state_dict(), before)
    with measured(network) as passes:
        out = network(x)
        loss = loss_of(out)
        network.passed = []
        copied, file = copy.deepcopy(network), io.BytesIO()
        torch.save(network, file)
        gone = weakref.ref(out)
        loss.backward()
        del out, loss
        gc.disable()
        try:
            assert gone() is None
        finally:
            gc.enable()
    assert b"gradpath.flow" not in file.getvalue()
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in copied.modules())
    assert len(passes) == 1


def test_an_error_while_measuring_ends_that_of_the_layer_and_not_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    network, x = made("plain")
    expected = gradients(network, x)

    def broken(values: Tensor, last: float = 1.0) -> float:
        # The data are looked at before the first gradient comes.
        if next(calls) == 4:
            raise ValueError("no room")
        return 1.0

    calls = itertools.count()
    monkeypatch.setattr(places, "square_sum", broken)
    with measured(network) as passes:
        with pytest.warns(RuntimeWarning, match=r"layers.4 is not measured any more: ValueError: no room") as said:
            found = gradients(network, x)
        gradients(network, x)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert len(said) == 1
    left = {f"layers.{index}" for index in (0, 1, 2, 3, 5, 6, 7)}
    assert [names(seen) for seen in passes] == [left, left]


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning")
def test_functions_of_functions_run_beside_it() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
    weights, x = {k: v.detach() for k, v in model.named_parameters()}, torch.randn(6, 4)

    def one(w: dict[str, Tensor], a: Tensor) -> Tensor:
        return torch.func.functional_call(model, w, (a[None],)).square().sum()

    with measured(model) as passes:
        torch.func.vmap(torch.func.grad(one), (None, 0))(weights, x)
        torch.func.jvp(model, (x,), (x,))
        model(x).sum().backward()
    assert len(passes) == 1
