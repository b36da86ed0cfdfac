"""An error anywhere in the measuring: the training goes on as without the probe, and one warning says that it is over."""

import copy
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

import gradpath.flow
from gradpath.flow import backward, guarded
from gradpath.verdict.probing import JudgingProbe

OURS = str(Path(gradpath.flow.__file__).parent)


class Everything(nn.Module):
    """A network that branches, with a recurrent layer, a cell, a computed weight and an activation made in `forward`."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.cell = nn.GRU(4, 6, batch_first=True), nn.RNNCell(6, 6)
        self.a, self.act, self.b = spectral_norm(nn.Linear(6, 6)), nn.ReLU(), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.rnn(x)
        h = x.new_zeros(len(x), 6)
        for time in range(3):
            h = self.cell(states[:, time], h)
        return self.b(nn.Tanh()(h + self.act(self.a(h))))


def network() -> nn.Module:
    torch.manual_seed(0)
    return Everything()


def train(model: nn.Module) -> Iterator[None]:
    """Trains step by step; the second step has two batches, and a part of the model is exchanged before the third."""
    generator = torch.Generator().manual_seed(1)
    optimizers = [torch.optim.SGD(model.parameters(), lr=0.1)]
    for step in range(3):
        if step == 2:
            model.b = copy.deepcopy(model.b)
            optimizers = [torch.optim.Adam(part.parameters(), lr=0.1) for part in model.children() if [*part.parameters()]]
        for optimizer in optimizers:
            optimizer.zero_grad()
        for _ in range(1 + (step == 1)):
            x = torch.randn(5, 3, 4, generator=generator)
            F.cross_entropy(model(x), torch.arange(5) % 3).backward()
        for optimizer in optimizers:
            optimizer.step()
        yield


@contextmanager
def tracing(look: Callable[[CodeType], None]) -> Iterator[None]:
    """Calls `look` at the begin of each call of a function of ours, which fails with what it raises."""

    def trace(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(OURS):
            look(frame.f_code)

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


# What stands between torch and all else of ours, and what says that it is over; and what the user calls.
BETWEEN = {guarded.__file__, backward.__file__}


def called() -> list[str]:
    """The functions that a training inside the block calls, from its opening to its end."""
    found: dict[str, None] = {}

    def look(code: CodeType) -> None:
        if code.co_filename not in BETWEEN:
            found[f"{Path(code.co_filename).stem}.{code.co_qualname}"] = None

    model = network()
    p = JudgingProbe(model, inputs=torch.randn(2, 3, 4), rank=True)
    with tracing(look):
        p.open()
        for _ in train(model):
            pass
        p.close()
    # The last two only call the guard.
    return [name for name in found if "<" not in name and name not in ("probe.Probe.open", "probe.Probe.close")]


def trained() -> list[Tensor]:
    model = network()
    for _ in train(model):
        pass
    return [*model.state_dict().values()]


def warned(name: str, model: nn.Module) -> list[str]:
    """What is said while the model is trained, where the first call of a function of ours fails."""
    raised: list[str] = []

    def look(code: CodeType) -> None:
        if f"{Path(code.co_filename).stem}.{code.co_qualname}" == name and not raised:
            raised.append(name)
            raise RuntimeError("out of memory")

    # Some warnings are said once in a process.
    backward._said.clear()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        p = JudgingProbe(model, inputs=torch.randn(2, 3, 4), rank=True)
        with tracing(look):
            p.open()
            for _ in train(model):
                pass
            p.close()
    assert raised == [name]
    return [str(one.message) for one in said if "gradpath" in str(one.message)]


def test_an_error_in_any_function_of_ours_is_one_warning() -> None:
    names, expected = called(), trained()
    assert len(names) > 100
    for name in names:
        model = network()
        ours = warned(name, model)
        assert len(ours) == 1, (name, ours)
        assert "out of memory" in ours[0], name
        assert all(map(torch.equal, model.state_dict().values(), expected)), name
        assert not torch.nn.modules.module._global_forward_hooks, name
        assert not backward._listeners, name
        assert not any(parameter._post_accumulate_grad_hooks for parameter in model.parameters()), name


@pytest.mark.parametrize(("name", "layer"), [("weights.Weights._measure", "b"), ("weights.Weights.add_computed", "a")])
def test_the_warning_names_the_layer(name: str, layer: str) -> None:
    assert warned(name, network()) == [f"gradpath: measuring has been switched off at {layer}: RuntimeError: out of memory"]
