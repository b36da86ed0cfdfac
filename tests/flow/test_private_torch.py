"""Without what is private in torch, a training goes on as before and is measured."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from gradpath import probe
from gradpath.flow import private_torch
from gradpath.flow.backward import is_left_alone

PRIVATE = (
    (torch._C, "_get_dispatch_mode"),
    *((torch._C, f"_{name}") for name in ("current_graph_task_id", "current_autograd_node", "functorch")),
    (torch, "_foreach_norm"),
)


def refuse(*_: Any) -> None:
    raise TypeError("it takes other arguments now")


@pytest.mark.parametrize("gone", [True, False], ids=["gone", "changed"])
@pytest.mark.parametrize(("place", "name"), PRIVATE, ids=[name for _, name in PRIVATE])
def test_a_training_without_a_private_name(place: Any, name: str, gone: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not callable(getattr(place, name)) and not gone:
        pytest.skip("a dictionary or a module is there or not")
    if name == "_foreach_norm" and not gone:
        pytest.skip("torch's own clipping calls it in this way")
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with probe(model) as p, monkeypatch.context() as patch:
            if gone:
                patch.delattr(place, name)
            else:
                patch.setattr(place, name, refuse)
            for _ in range(2):
                optimizer.zero_grad()
                model(torch.randn(6, 4)).square().mean().backward()
                optimizer.step()
            assert private_torch.norms([torch.ones(4)], torch.float64)[0] == 2
    assert np.isfinite(p.record.matrix("weight_grad_norm")).all()


def test_what_a_tensor_or_a_node_may_lack() -> None:
    class Bare:
        @property
        def _version(self) -> int:
            raise RuntimeError("Inference tensors do not track version counter.")

    bare: Any = Bare()
    assert private_torch.version_of(bare) == 0
    assert private_torch.shapes_of_outputs(bare) == []


@pytest.mark.parametrize("name", ["_are_functorch_transforms_active", "_get_tracing_state"])
@pytest.mark.parametrize("gone", [True, False], ids=["gone", "changed"])
def test_what_torch_itself_cannot_do_without(name: str, gone: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        if gone:
            patch.delattr(torch._C, name)
        else:
            patch.setattr(torch._C, name, refuse)
        found = is_left_alone()
    assert found is False


def test_a_dynamo_that_names_its_actions_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(private_torch._frames, "_FrameAction")
    with probe(nn.Linear(2, 2)) as p:
        p.model(torch.ones(3, 2)).sum().backward()
        p.step()
    assert p.record.steps == [0]
