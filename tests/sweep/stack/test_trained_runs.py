"""`gradpath.sweep.stack.train`, as anybody would call it."""

import copy
from collections.abc import Iterable
from functools import partial

import pytest
import torch
from torch import nn

from gradpath.data.xor import xor
from gradpath.model.network import MLP
from gradpath.model.schedules import cosine
from gradpath.sweep.stack import StackError, train


def networks(count: int, hidden: tuple[int, ...] = (8, 8)) -> list[MLP]:
    torch.manual_seed(0)
    return [MLP(2, hidden, 1, nn.Tanh) for _ in range(count)]


def data():  # type: ignore[no-untyped-def]
    return xor(steps_per_epoch=20, batch_size=4)


def test_networks_are_trained_in_place_in_any_order_of_settings() -> None:
    """Settings that take turns are sorted for the training, and everything comes back in the order that was given."""
    mixed, rates = networks(6), [0.1, 0.01, 0.1, 0.001, 0.01, 0.1]
    alone = copy.deepcopy(mixed)
    before = copy.deepcopy(mixed[3].state_dict())
    found = train(
        mixed, data(), [partial(torch.optim.Adam, lr=rate) for rate in rates], epochs=5, schedules=cosine, every=10
    )
    for index, (network, rate) in enumerate(zip(alone, rates, strict=True)):
        (one,) = train(
            [network], data(), partial(torch.optim.Adam, lr=rate), epochs=5, schedules=cosine, every=10, seeds=[index]
        )
        torch.testing.assert_close(one.losses, found[index].losses)
        torch.testing.assert_close(network.state_dict(), mixed[index].state_dict())
        assert one.record.steps == found[index].record.steps == [*range(0, 100, 10), 99]
    assert found[0].losses[-1] < 0.1 < found[3].losses[-1]
    assert not torch.equal(before["blocks.0.linear.weight"], mixed[3].state_dict()["blocks.0.linear.weight"])


def test_a_network_that_diverges_is_left_as_it_was_before_and_the_others_go_on() -> None:
    many, others = networks(3), networks(3)
    with torch.no_grad():
        many[1].linears[0].weight[0, 0] = torch.nan
    broken = copy.deepcopy(many[1].state_dict())
    found = train(many, data(), partial(torch.optim.SGD, lr=0.5), epochs=3, every=1)
    assert [one.diverged for one in found] == [None, 0, None]
    assert (len(found[1].losses), found[1].record.steps) == (1, [0])
    torch.testing.assert_close(many[1].state_dict(), broken, equal_nan=True)
    expected = train(others, data(), partial(torch.optim.SGD, lr=0.5), epochs=3)
    for index in (0, 2):
        torch.testing.assert_close(found[index].losses, expected[index].losses)
    makes = [partial(torch.optim.SGD, lr=rate) for rate in (0.1, 1e20)]
    late = train(networks(2), data(), makes, epochs=3, loss=nn.MSELoss())
    assert late[0].diverged is None
    assert late[1].diverged == len(late[1].losses) - 1 > 0


def test_what_cannot_be_stacked_is_told() -> None:
    adam = partial(torch.optim.Adam, lr=0.1)
    with pytest.raises(StackError, match=r"blocks.1.linear differs: .*8.* and .*9"):
        train([*networks(1), *networks(1, (8, 9))], data(), adam, epochs=1)
    with pytest.raises(StackError, match="depth"):
        train([*networks(1), *networks(1, (8, 8, 8))], data(), adam, epochs=1)
    with pytest.raises(StackError, match="PReLU has weights of its own"):
        train([MLP(2, [4], 1, nn.PReLU)], data(), adam, epochs=1)
    with pytest.raises(StackError, match="may mix the runs, or be random"):
        train([MLP(2, [4], 1, nn.RReLU)], data(), adam, epochs=1)
    with pytest.raises(StackError, match="there is no network"):
        train([], data(), adam, epochs=1)
    with pytest.raises(ValueError, match="2 optimizers for 3 networks"):
        train(networks(3), data(), [adam, adam], epochs=1)
    frozen = networks(2)
    frozen[1].linears[0].weight.requires_grad_(False)
    with pytest.raises(StackError, match=r"blocks\.0\.linear: frozen weights"):
        train(frozen, data(), adam, epochs=1)
    bare = networks(1)
    bare[0].linears[0].bias = None
    with pytest.raises(StackError, match=r"blocks\.0\.linear: no bias"):
        train(bare, data(), adam, epochs=1)


def decaying(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Weight decay for matrices alone, as many do."""
    given = [*parameters]
    groups = [
        {"params": [one for one in given if one.ndim > 1], "weight_decay": 0.5},
        {"params": [one for one in given if one.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=0.01)


def test_an_optimizer_that_looks_at_shapes_sees_those_of_a_network() -> None:
    stacked, alone = networks(3), networks(3)
    train(stacked, data(), decaying, epochs=3)
    for index, network in enumerate(alone):
        train([network], data(), decaying, epochs=3, seeds=[index])
        torch.testing.assert_close(network.state_dict(), stacked[index].state_dict())
    plain, samples = networks(1)[0], data()
    optimizer, loader = decaying(plain.parameters()), samples.train_dataloader()
    for epoch in range(3):
        loader.sampler.set_epoch(epoch)
        for x, y in loader:
            loss = nn.functional.binary_cross_entropy_with_logits(plain(x)[:, 0], y.float())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    torch.testing.assert_close(plain.state_dict(), stacked[0].state_dict(), rtol=1e-4, atol=1e-5)


def test_a_run_that_is_not_finite_does_not_clip_the_others() -> None:
    many, others = networks(3), networks(3)
    with torch.no_grad():
        many[1].linears[0].weight[0, 0] = torch.nan
    sgd = partial(torch.optim.SGD, lr=0.5)
    train(many, data(), sgd, epochs=2, clip=0.01)
    train(others, data(), sgd, epochs=2, clip=0.01)
    for index in (0, 2):
        torch.testing.assert_close(many[index].state_dict(), others[index].state_dict())
