"""Twenty steps of every network of the zoo, with and without the probe, at every level: the same bits."""

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import nn

from gradpath.studies.ways_by_hand import loss_of
from gradpath.studies.zoo_networks import MORE
from gradpath.verdict.probing import probe

STEPS = 20
LEVELS: dict[str, dict[str, Any]] = {
    "gradients": {"activations": False, "follow": False},
    "standard": {"slow_every": 3},
    "all": {"rank": True, "keep": True},
}


def trained(name: str, options: dict[str, Any] | None) -> tuple[Any, ...]:
    """What a training leaves: weights, buffers, the optimiser, its gradients, the generator, and who needs gradients."""
    torch.manual_seed(0)
    make, inputs = MORE[name]
    model: nn.Module = make().float()
    x = inputs()
    x = x.float() if x.is_floating_point() else x
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    torch.manual_seed(1)

    def loop() -> None:
        for _ in range(STEPS):
            optimizer.zero_grad()
            # A generator is used by the loop too.
            loss_of(model(x) * (1 + 0.01 * torch.rand(()))).backward()
            optimizer.step()

    if options is None:
        loop()
    else:
        with probe(model, **options) as p:
            loop()
        assert len(p.record.steps) == STEPS
    assert copy.deepcopy(model.state_dict()).keys() == model.state_dict().keys()
    hooks = [module for module in model.modules() if module._forward_hooks or module._forward_pre_hooks]
    return (
        pickle.dumps({key: value.numpy() for key, value in model.state_dict().items()}),
        pickle.dumps([None if p.grad is None else p.grad.numpy() for p in model.parameters()]),
        pickle.dumps([[value.numpy() for value in state.values()] for state in optimizer.state.values()]),
        bytes(torch.get_rng_state().numpy()),
        [(p.requires_grad, p.is_leaf) for p in model.parameters()],
        hooks if name != "computed weights" else [],
    )


@pytest.mark.parametrize("name", MORE)
def test_a_training_leaves_the_same_bits(name: str) -> None:
    expected = trained(name, None)
    for level, options in LEVELS.items():
        assert trained(name, options) == expected, level
