"""Optimisers that fail in the middle of a step, and those that step others."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradpath import probe


@pytest.mark.parametrize("other", [False, True])
def test_a_step_that_raised_is_over(other: bool) -> None:
    """Its closure failed; the loop goes on with the same optimiser or with another one."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(10, 16), nn.Tanh(), nn.Linear(16, 3))
    optimizer: torch.optim.Optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    failed = 0
    with probe(model) as p:
        for step in range(8):

            def closure(step: int = step, optimizer: torch.optim.Optimizer = optimizer) -> Tensor:
                optimizer.zero_grad()
                loss = F.cross_entropy(model(torch.randn(8, 10)), torch.randint(3, (8,)))
                if step == 2:
                    raise FloatingPointError("the loss is too large")
                loss.backward()
                return loss

            try:
                optimizer.step(closure)
            except FloatingPointError:
                failed += 1
                optimizer = torch.optim.Adam(model.parameters(), lr=1e-4) if other else optimizer
    assert failed == 1
    assert p.record.steps == [*range(7)]
