"""Depth in time: |delta| at the states of recurrent layers, against autograd through a loop that is written out."""

import itertools
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.rnn import pack_padded_sequence

from gradpath.flow import record
from gradpath.verdict.probing import JudgingProbe, probe

BATCH, TIME, WIDTH = 3, 7, 4


def step(module: Any, end: str, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """One time step by the formulas of the field, for one sample."""
    get = lambda name: getattr(module, f"{name}_{end}")  # noqa: E731
    a, b = get("weight_ih") @ x, get("weight_hh") @ h
    if module.bias:
        a, b = a + get("bias_ih"), b + get("bias_hh")
    if module.mode == "GRU":
        (ar, az, an), (br, bz, bn) = a.chunk(3), b.chunk(3)
        z = torch.sigmoid(az + bz)
        return (1 - z) * torch.tanh(an + torch.sigmoid(ar + br) * bn) + z * h, c
    if module.mode == "LSTM":
        i, f, g, o = (a + b).chunk(4)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return (get("weight_hr") @ h if module.proj_size else h), c
    return (torch.tanh if module.mode == "RNN_TANH" else torch.relu)(a + b), c


def written_out(module: Any, sequence: Tensor, start: list[Tensor]) -> tuple[Tensor, list[Tensor], dict[str, list[Tensor]]]:
    """All states of the top layer, the last h and c of each layer, and all h by layer and direction, for one sample."""
    x, ends, states = list(sequence), [], {}
    for number in range(module.num_layers):
        sides = []
        for reverse in range(2 if module.bidirectional else 1):
            h, c = (one[number * (2 if module.bidirectional else 1) + reverse] for one in start)
            own: list[Any] = [None] * len(x)
            for time in range(len(x))[:: -1 if reverse else 1]:
                h, c = step(module, f"l{number}" + "_reverse" * reverse, x[time], h, c)
                h.retain_grad()
                own[time] = h
            states[(f"[{number}]" if number else "") + " reverse" * reverse] = own
            ends.append((h, c))
            sides.append(own)
        x = [torch.cat(both) for both in zip(*sides, strict=True)]
    return torch.stack(x), [torch.stack(each) for each in zip(*ends, strict=True)], states


class Network(nn.Module):
    """A recurrent layer and a head that looks at `uses`: all states, the last ones, or both."""

    def __init__(self, kind: str, uses: str, **options: Any) -> None:
        super().__init__()
        self.rnn = getattr(nn, kind)(2, WIDTH, **options)
        self.head = nn.LazyLinear(3)
        self.uses = uses

    def end(self, states: Tensor, last: Tensor) -> Tensor:
        """states: (time, features). last: (layers, features)."""
        parts = {"states": [states.cos().sum(0)], "last": [last.flatten()], "both": [states.cos().sum(0), last.flatten()]}
        return self.head(torch.cat(parts[self.uses]))

    def forward(self, x: Any, start: Any = None) -> Tensor:
        states, last = self.rnn(x, start)
        last = torch.cat(last, 2) if isinstance(last, tuple) else last
        if isinstance(states, nn.utils.rnn.PackedSequence):
            states, lengths = nn.utils.rnn.pad_packed_sequence(states, batch_first=True)
        else:
            states = states if self.rnn.batch_first else states.transpose(0, 1)
            lengths = [states.shape[1]] * len(states)
        return torch.stack([self.end(s[:n], last[:, i]) for i, (s, n) in enumerate(zip(states, lengths, strict=True))])


CASES = list(
    itertools.product(("RNN", "LSTM", "GRU"), ("states", "last", "both"), (1, 2), (False, True), ("time", "batch", "packed"))
)


@pytest.mark.parametrize("case", random.Random(3).sample(CASES, 24), ids=str)
def test_every_state_against_autograd_through_a_loop(case: tuple[str, str, int, bool, str]) -> None:
    kind, uses, layers, both_ways, layout = case
    dice = random.Random(str(case))
    torch.manual_seed(dice.randrange(1000))
    options: dict[str, Any] = {"num_layers": layers, "bidirectional": both_ways, "batch_first": layout == "batch"}
    options["bias"] = dice.random() < 0.7
    if kind == "RNN":
        options["nonlinearity"] = dice.choice(["tanh", "relu"])
    if kind == "LSTM" and dice.random() < 0.5:
        options["proj_size"] = 2
    model = Network(kind, uses, **options).double()
    lengths = [dice.randint(2, TIME) for _ in range(BATCH)] if layout == "packed" else [TIME] * BATCH
    x, y = torch.randn(BATCH, TIME, 2).double(), torch.randint(3, (BATCH,))
    rows, width = layers * (2 if both_ways else 1), options.get("proj_size") or WIDTH
    start = [torch.randn(rows, BATCH, width).double(), torch.randn(rows, BATCH, WIDTH).double()]
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    given: Any = {"time": x.transpose(0, 1), "batch": x, "packed": packed}[layout]
    hx = tuple(start) if kind == "LSTM" else start[0]
    model(given, hx)
    # Samples one by one, each by its own loop.
    expected: dict[str, np.ndarray[Any, Any]] = {}
    for index, length in enumerate(lengths):
        states, ends, every = written_out(model.rnn, x[index, :length], [one[:, index] for one in start])
        last = torch.cat(ends, 1) if kind == "LSTM" else ends[0]
        F.cross_entropy(model.end(states, last), y[index]).backward()
        for name, own in every.items():
            squares = np.zeros(TIME)
            squares[:length] = [0.0 if h.grad is None else h.grad.square().sum().item() for h in own]
            expected[name] = expected.get(name, 0.0) + squares
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    optimizer.zero_grad()
    with probe(model, samples=BATCH) as p:
        F.cross_entropy(model(given, hx), y).backward()
        optimizer.step()
    found = p.record.in_time
    assert set(found) == {f"rnn{name}" for name in expected}
    for name, squares in expected.items():
        longest = max(lengths)
        assert found[f"rnn{name}"][0] == pytest.approx(np.sqrt(squares / BATCH)[:longest], rel=1e-9, abs=1e-300)


def test_a_cell_in_a_loop() -> None:
    class Cells(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell, self.head = nn.LSTMCell(2, WIDTH), nn.Linear(WIDTH, 3)

        def forward(self, x: Tensor) -> Tensor:
            state = None
            for one in x.unbind(1):
                state = self.cell(one, state)
            assert state
            return self.head(state[0])

    torch.manual_seed(0)
    model = Cells().double()
    x, y = torch.randn(BATCH, TIME, 2).double(), torch.randint(3, (BATCH,))
    whole = nn.LSTM(2, WIDTH).double()
    whole.load_state_dict({f"{name}_l0": value for name, value in model.cell.state_dict().items()})
    squares = np.zeros(TIME)
    for index in range(BATCH):
        states, _, every = written_out(whole, x[index], [torch.zeros(1, WIDTH).double()] * 2)
        F.cross_entropy(model.head(states[-1]), y[index]).backward()
        squares += [0.0 if h.grad is None else h.grad.square().sum().item() for h in every[""]]
    found = one_step(model, x, y).record.in_time["cell"][0]
    assert found == pytest.approx(np.sqrt(squares / BATCH), rel=1e-9)


def one_step(model: nn.Module, x: Tensor, y: Tensor, **options: Any) -> JudgingProbe:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    optimizer.zero_grad()
    with probe(model, **options) as p:
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    return p


def test_accumulated_batches_agree_with_one_batch() -> None:
    torch.manual_seed(0)
    model = Network("GRU", "last", batch_first=True).double()
    x, y = torch.randn(4, TIME, 2).double(), torch.randint(3, (4,))
    model(x)
    whole = one_step(model, x, y).record.in_time["rnn"]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    optimizer.zero_grad()
    with probe(model) as p:
        for part in (slice(2), slice(2, 4)):
            (F.cross_entropy(model(x[part]), y[part]) / 2).backward()
        optimizer.step()
    assert p.record.in_time["rnn"] == pytest.approx(whole, rel=1e-9)


def test_what_cannot_be_known_is_not_shown(tmp_path: Path) -> None:
    torch.manual_seed(0)
    x, y = torch.randn(4, TIME, 2), torch.randint(3, (4,))
    dropped = Network("LSTM", "last", batch_first=True, num_layers=2, dropout=0.5)
    dropped(x)
    assert one_step(dropped, x, y).record.in_time == {}
    # A weight that is computed from another is that of the pass, and its power iteration makes no step of ours.
    computed = Network("RNN", "states", batch_first=True)
    spectral_norm(computed.rnn, "weight_hh_l0")
    computed(x)
    twin = one_step(computed, x, y, folder=tmp_path).record.in_time["rnn"]
    assert (twin > 0).all()
    saved = record.load(tmp_path)
    assert np.array_equal(saved["in_time/rnn"], twin)
    record.check(tmp_path, saved["layer"].tolist())


@pytest.mark.parametrize(("kind", "gate"), [("RNN", None), ("LSTM", "forget"), ("GRU", "update")])
def test_the_oldest_vanishing_gradient(kind: str, gate: str | None) -> None:
    """Found where it is, with a remedy that helps; and not where the loss is short of it."""

    def found(time: int, bias: float = 0.0) -> list[dict[str, Any]]:
        torch.manual_seed(0)
        model = Network(kind, "last", batch_first=True)
        if bias:
            model.rnn.bias_hh_l0.data[WIDTH : 2 * WIDTH] = bias
        x, y = torch.randn(8, time, 2), torch.randint(3, (8,))
        model(x)
        kinds = one_step(model, x, y).verdict()
        return [finding for finding in kinds["findings"] if finding["kind"] == "vanishing_in_time"]

    (finding,) = found(150)
    assert (finding["layer"], finding["cause"]) == ("rnn", "recurrence")
    assert "over 150 time steps" in finding["message"]
    assert found(12) == []
    if gate:
        assert f"{gate} gates" in finding["remedy"]
        assert found(150, np.log(150)) == []


def test_weights_that_blow_the_gradient_up() -> None:
    torch.manual_seed(0)
    model = Network("RNN", "last", batch_first=True, nonlinearity="relu")
    model.rnn.weight_hh_l0.data = 2 * torch.eye(WIDTH)
    x, y = torch.rand(4, 30, 2), torch.randint(3, (4,))
    model(x)
    found = one_step(model, x, y).verdict()
    assert [f["kind"] for f in found["findings"] if "time" in f["kind"]] == ["exploding_in_time"]
    assert found["in_time"]["rnn"]["growth"] > 1e4


def test_an_error_ends_the_measuring_in_time_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where torch fails, as for want of memory, it costs no step of the training."""

    def fails(*arguments: Any) -> Tensor:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(torch._VF, "gru_cell", fails)
    torch.manual_seed(0)
    model = Network("GRU", "last", batch_first=True)
    x, y = torch.randn(4, TIME, 2), torch.randint(3, (4,))
    model(x)
    with pytest.warns(RuntimeWarning, match="rnn is not measured in time any more: RuntimeError: out of mem") as caught:
        p = one_step(model, x, y)
    assert len(caught) == 1
    assert p.record.in_time == {}
    assert not np.isnan(p.record.row(0)["delta"]).any()


def test_what_a_subclass_returns_is_not_guessed() -> None:
    """Its first output is the last states here, of which there are as many as time steps."""

    class Reversed(nn.GRU):
        def forward(self, x: Tensor) -> Any:
            states, last = super().forward(x)
            return last, states

    torch.manual_seed(0)
    model = Network("GRU", "last", batch_first=True)
    x, y = torch.randn(4, 1, 2), torch.randint(3, (4,))
    model.rnn = Reversed(2, WIDTH, batch_first=True)
    model.forward = lambda x: model.head(model.rnn(x)[0][0])  # type: ignore[method-assign]
    model(x)
    p = one_step(model, x, y)
    assert p.record.in_time == {}
    assert not np.isnan(p.record.row(0)["delta"]).any()


def test_it_is_measured_ever_more_rarely() -> None:
    """Because it costs as much as the layer itself."""
    torch.manual_seed(0)
    model = Network("GRU", "last", batch_first=True)
    x, y = torch.randn(4, TIME, 2), torch.randint(3, (4,))
    model(x)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with probe(model) as p:
        for _ in range(10):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    measured = ~np.isnan(p.record.in_time["rnn"]).any(1)
    assert np.flatnonzero(measured).tolist() == [0, 1, 2, 4, 8]
    assert not np.isnan(p.record.matrix("delta")).any()
