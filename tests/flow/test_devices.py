"""A model that is spread over several devices: nothing is computed from tensors of two of them."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map

from gradpath.flow.dead_units import Silence
from gradpath.flow.loop import Loop
from gradpath.flow.norms import gather, plus, square_sums


class Placed(Tensor):
    """A tensor that says it lies on another device, and refuses to be combined with one that lies elsewhere.

    reads: how often one of them was read, which on a device is a sync.
    """

    reads = 0

    @staticmethod
    def __new__(cls, inner: Tensor, device: str) -> "Placed":
        make: Any = Tensor._make_wrapper_subclass
        made: Placed = make(cls, inner.shape, dtype=inner.dtype, device=device)
        return made

    def __init__(self, inner: Tensor, device: str) -> None:
        self.inner = inner

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = [one for one in tree_flatten((args, kwargs))[0] if isinstance(one, Tensor)]
        devices = {one.device for one in given if isinstance(one, Placed) or one.ndim}
        args, kwargs = tree_map(lambda one: one.inner if isinstance(one, Placed) else one, (args, dict(kwargs or {})))
        device = torch.device(kwargs.pop("device", next(iter(devices))))
        moves = "_to_copy" in str(func)
        assert moves or len(devices) == 1, f"{func} on {devices}"
        made = func(*args, **kwargs)
        if device.type == "cpu" or not isinstance(tree_flatten(made)[0][0], Tensor):
            Placed.reads += 1
            return made
        return tree_map(lambda one: Placed(one, str(device)), made)


def on(number: int, *values: float) -> Placed:
    return Placed(torch.tensor(values), f"xla:{number}")


def test_sums_of_squares_and_their_transfer() -> None:
    tensors = [on(0, 3.0, 4.0), None, torch.tensor([2.0]), on(1, 1.0), on(0, 2.0)]
    squares = square_sums(tensors)
    Placed.reads = 0
    assert gather([*squares, 7.0]) == pytest.approx([25.0, np.nan, 4.0, 1.0, 4.0, 7.0], nan_ok=True)
    # One transfer for each device.
    assert Placed.reads == 2


def test_numbers_of_two_devices_are_added() -> None:
    one, other = (square_sums([on(number, 2.0)])[0] for number in (0, 1))
    assert gather([plus(one, other), plus(one, 1.0), plus(1.0, other)]).tolist() == [8.0, 5.0, 5.0]


def test_dead_units_wait_for_no_device() -> None:
    silence = Silence([3, 2, 4], distributed=False)
    Placed.reads = 0
    shares = silence.dead([on(0, 0.0, 1.0, 0.0), on(1, 1.0, 1.0), None], 5, torch.device("cpu"))
    shares += silence.dead([on(0, 1.0, 0.0, 0.0), on(1, 0.0, 1.0), None], 2000, torch.device("cpu"))
    assert Placed.reads == 0
    assert gather(shares) == pytest.approx([2 / 3, 0, np.nan, 2 / 3, 1 / 2, np.nan], nan_ok=True)


def test_a_learning_rate_that_is_a_tensor_is_not_waited_for() -> None:
    weight = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([{"params": [weight], "lr": 0.1}])
    optimizer.param_groups[0]["lr"] = Placed(torch.tensor(0.5), "xla:0")
    loop = Loop()
    Placed.reads = 0
    loop.look_at(optimizer)
    assert Placed.reads == 0
    assert loop.rate == 0.5
