"""Depth in time over a long training: what is kept, and what reading it costs."""

import numpy as np
import torch
from torch import Tensor, nn

from gradpath import probe
from gradpath.flow import in_time
from gradpath.flow.growing import Growing


class Cells(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.out = nn.RNNCell(2, 3), nn.Linear(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(len(x), 3)
        for time in range(x.shape[1]):
            h = self.cell(x[:, time], h)
        return self.out(h)


def test_a_long_training_keeps_a_row_for_each_step_and_no_more() -> None:
    """Sequences have different lengths; the record is read now and then."""
    torch.manual_seed(0)
    model = Cells()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    read: dict[int, np.ndarray] = {}
    with probe(model, activations=False) as p:
        for step in range(2 * in_time.MOST + 10):
            optimizer.zero_grad()
            model(torch.randn(2, 3 + step % 4, 2)).square().mean().backward()
            optimizer.step()
            assert sum(len(rows) for rows in p.rows.in_time.rows.values()) <= in_time.MOST
            if step % 50 == 49:
                read[step + 1] = p.record.in_time["cell"]
        last, again = p.record.in_time["cell"], p.record.in_time["cell"]
    # What was read before is not made anew.
    assert np.shares_memory(last, again)
    assert last.shape == (2 * in_time.MOST + 10, 6)
    assert np.isfinite(last).sum(1).tolist() == [3 + step % 4 for step in range(len(last))]
    for steps, matrix in read.items():
        np.testing.assert_array_equal(matrix, last[:steps])


def test_rows_that_were_not_put_are_nan() -> None:
    table = Growing()
    table.put(2, np.ones(3))
    table.put(0, np.zeros(5))
    assert np.isfinite(table.first(4)).sum(1).tolist() == [5, 0, 3, 0]
    assert table.first(9).shape == (9, 5)
