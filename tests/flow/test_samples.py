"""One number of samples for all layers: layouts of the same data agree."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from gradpath.flow.probe import Probe
from gradpath.flow.samples import samples_in
from gradpath.verdict.probing import probe

BATCH, TIME = 4, 50


def trained(model: nn.Module, x: Tensor, y: Tensor, **options: int) -> Probe:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with probe(model, **options) as p:
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    return p


class Sequence(nn.Module):
    """Layers per time step, then layers per sequence. `layout` says how time and samples lie."""

    def __init__(self, layout: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layout = layout
        self.a, self.b, self.c, self.d = nn.Linear(8, 16), nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 3)
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        if self.layout == "flattened":
            h = torch.tanh(self.b(torch.tanh(self.a(x.flatten(0, 1))))).unflatten(0, (BATCH, TIME)).mean(1)
        else:
            h = torch.tanh(self.b(torch.tanh(self.a(x)))).mean(1 if self.layout == "batch first" else 0)
        return self.d(torch.tanh(self.c(h)))


def sequences() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(BATCH, TIME, 8, dtype=torch.float64), torch.randint(3, (BATCH,))


def test_time_first_time_second_and_flattened() -> None:
    x, y = sequences()
    expected = trained(Sequence("batch first"), x, y).record.row(0)["delta"]
    flattened = trained(Sequence("flattened"), x, y).record.row(0)["delta"]
    told = trained(Sequence("time first"), x.transpose(0, 1), y, batch_dim=1).record.row(0)["delta"]
    given = trained(Sequence("time first"), x.transpose(0, 1), y, samples=BATCH).record.row(0)["delta"]
    guessed = trained(Sequence("time first"), x.transpose(0, 1), y).record.row(0)["delta"]
    for found in (flattened, told, given):
        assert found == pytest.approx(expected, rel=1e-9)
    # Nobody said how many samples there are, so the size is another one, for all layers alike.
    assert guessed / guessed[-1] == pytest.approx(expected / expected[-1], rel=1e-9)


def test_a_mixture_of_experts_agrees_with_its_padded_twin() -> None:
    """Each expert sees the tokens that are sent to it, or all of them with zeros for the others."""

    class Mixture(nn.Module):
        def __init__(self, padded: bool) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.padded = padded
            self.into, self.out = nn.Linear(8, 6), nn.Linear(6, 3)
            self.experts = nn.ModuleList(nn.Linear(6, 6) for _ in range(3))
            self.double()

        def forward(self, x: Tensor) -> Tensor:
            h = torch.tanh(self.into(x)).flatten(0, 1)
            chosen = torch.arange(len(h)) % 3
            mixed = torch.zeros_like(h)
            for number, expert in enumerate(self.experts):
                mine = chosen == number
                if self.padded:
                    mixed = mixed + expert(h) * mine[:, None]
                else:
                    mixed = mixed.index_put((mine.nonzero()[:, 0],), expert(h[mine]))
            return self.out(torch.tanh(mixed).unflatten(0, (BATCH, TIME)).mean(1))

    x, y = sequences()
    sparse, padded = (trained(Mixture(on), x, y).record for on in (False, True))
    for name in ("delta", "weight_grad_norm"):
        found, expected = (dict(zip(r.layers, r.row(0)[name], strict=True)) for r in (sparse, padded))
        layers = [layer for layer in expected if not layer.endswith("+")]
        assert [found[layer] for layer in layers] == pytest.approx([expected[layer] for layer in layers], rel=1e-9)


def test_packed_sequences_agree_with_padded_ones() -> None:
    class Reader(nn.Module):
        def __init__(self, packed: bool) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.packed = packed
            self.into, self.cells, self.out = nn.Linear(8, 5), nn.LSTM(5, 6, batch_first=True), nn.Linear(6, 3)
            self.double()

        def forward(self, x: Tensor) -> Tensor:
            lengths = torch.tensor([50, 40, 30, 20])
            h = torch.tanh(self.into(x))
            if self.packed:
                packed, _ = self.cells(pack_padded_sequence(h, lengths, batch_first=True))
                states, _ = pad_packed_sequence(packed, batch_first=True)
            else:
                states, _ = self.cells(h)
            return self.out(states[torch.arange(BATCH), lengths - 1])

    x, y = sequences()
    packed, padded = (trained(Reader(on), x, y).record for on in (True, False))
    assert packed.layers == padded.layers == ["into", "cells", "out"]
    assert packed.row(0)["delta"] == pytest.approx(padded.row(0)["delta"], rel=1e-9)


@pytest.mark.parametrize(
    ("given", "batch_dim", "expected"),
    [
        (torch.zeros(3, 5), 0, 3),
        (torch.zeros(3, 5), 1, 5),
        (torch.zeros(5), 0, 1),
        (torch.zeros(5, dtype=torch.int64), 0, 5),
        (torch.zeros(()), 0, None),
        (((), {"mask": None, "ids": torch.zeros(7, 2, dtype=torch.int64)}), 0, 7),
        (([torch.zeros(4, 2), torch.zeros(9)], {}), 0, 4),
        ("text", 0, None),
    ],
)
def test_samples_in_arguments(given: object, batch_dim: int, expected: int | None) -> None:
    assert samples_in(given, batch_dim) == expected
