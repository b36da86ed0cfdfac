"""Layers that are called at every time step: by a loop of cells, or all at once."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradpath.verdict.gradient_class import TOO_FEW
from gradpath.verdict.probing import probe


class Encoder(nn.Module):
    """Embeds a sequence, keeps a state, and looks at the last one."""

    def __init__(self, kind: str, loop: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.head = nn.Linear(3, 8), nn.Linear(16, 2)
        whole = getattr(nn, kind)(8, 16, batch_first=True)
        self.rnn = getattr(nn, f"{kind}Cell")(8, 16) if loop else whole
        self.rnn.load_state_dict({name.removesuffix("_l0" * loop): value for name, value in whole.state_dict().items()})

    def forward(self, x: Tensor) -> Tensor:
        if not isinstance(self.rnn, nn.RNNCellBase):
            return self.head(self.rnn(self.embed(x))[0][:, -1])
        state = None
        for one in x.unbind(1):
            state = self.rnn(self.embed(one), state)
        assert state is not None
        return self.head(state[0] if isinstance(state, tuple) else state)


def verdict_on(model: nn.Module, x: Tensor) -> dict[str, Any]:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    y = torch.arange(len(x)) % 2
    with probe(model) as p:
        for _ in range(3):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    return p.verdict()


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_a_loop_of_cells_is_judged_as_the_whole_layer(kind: str) -> None:
    torch.manual_seed(1)
    x = torch.randn(16, 20, 3)
    whole, loop = (verdict_on(Encoder(kind, loop), x) for loop in (False, True))
    assert (whole["class"], whole["findings"]) == ("healthy", [])
    assert (loop["class"], loop["findings"]) == ("healthy", [])
    assert loop["way"] == ["embed", "rnn#20"]
    # The gradient at the embedding is that of all its calls, so it is the same.
    assert loop["ratio"] == pytest.approx(whole["ratio"], rel=0.2)
    assert loop["in_time"]["rnn"]["ratio"] == pytest.approx(whole["in_time"]["rnn"]["ratio"], rel=1e-3)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("steps", [12, 30, 80])
def test_a_cell_alone_is_judged_as_the_whole_layer(kind: str, steps: int) -> None:
    """What vanishes in time only is no class, however many steps; it is found where the whole layer's is."""
    torch.manual_seed(1)
    x = torch.randn(8, steps, 8)

    class Alone(Encoder):
        def __init__(self, loop: bool) -> None:
            super().__init__(kind, loop)
            self.embed = nn.Identity()

    whole, loop = (verdict_on(Alone(loop), x) for loop in (False, True))
    assert (loop["class"], loop["undecided"]) == (whole["class"], whole["undecided"])
    assert [one["kind"] for one in loop["findings"]] == [one["kind"] for one in whole["findings"]]
    assert loop["in_time"]["rnn"]["ratio"] == pytest.approx(whole["in_time"]["rnn"]["ratio"], rel=1e-3)
    assert loop["undecided"] == TOO_FEW
    assert bool(loop["findings"]) == (loop["in_time"]["rnn"]["ratio"] < 1e-10)


def test_a_layer_that_is_used_over_and_over_is_named() -> None:
    class Reused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.first, self.again, self.head = nn.Linear(3, 16), nn.Linear(16, 16), nn.Linear(16, 2)
            nn.init.normal_(self.again.weight, std=0.1)

        def forward(self, x: Tensor) -> Tensor:
            x = self.first(x)
            for _ in range(12):
                x = torch.tanh(self.again(x))
            return self.head(x)

    found = verdict_on(Reused(), torch.randn(16, 3))
    assert found["class"] == "vanishing"
    (finding,) = found["findings"]
    assert (finding["kind"], finding["cause"], finding["layer"]) == ("vanishing", "recurrence", "again")
    assert "over 12 calls of again" in finding["message"]


def test_many_first_calls_take_no_more_time_than_a_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ways of two of them are followed, however many there are."""
    from gradpath.flow import ways

    walked = []
    original = ways.way

    def counted(*arguments: Any) -> Any:
        walked.append(1)
        return original(*arguments)

    monkeypatch.setattr(ways, "way", counted)
    verdict_on(Encoder("GRU", True), torch.randn(4, 60, 3))
    assert len(walked) <= 3 * 3
