"""Dead units, counted by the samples since they were last active."""

import pytest
import torch

from gradpath.flow.dead_units import WINDOW
from gradpath.model.network import MLP
from gradpath.verdict.probing import probe


def test_dead_units_are_silent_for_a_whole_window() -> None:
    """A unit is dead once it has been zero on WINDOW samples in a row, and not a batch earlier."""
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
    # The third unit is never active; the second has been silent for four batches at the sixth step.
    assert shares == pytest.approx([2 / 3, 1 / 3, 1 / 3, 1 / 3, 1 / 3, 2 / 3, 1 / 3])
