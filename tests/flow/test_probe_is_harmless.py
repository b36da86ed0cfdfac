"""Whatever a user's loop does, the probe neither ends it nor changes it."""

import threading
import warnings
from collections.abc import Iterable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradpath import probe
from probing import steps_of


class Keywords(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(6, 12), nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(input=torch.relu(self.a(input=x)))


class ChannelsSecond(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.act, self.b = nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.act(self.a(x).transpose(1, 2)).max(2).values)


def test_layers_that_are_called_by_keyword() -> None:
    torch.manual_seed(0)
    model = Keywords()
    assert np.isfinite(steps_of(model, torch.ones(5, 6)).record.row(0)["delta"]).all()


def test_sizes_that_change_from_step_to_step() -> None:
    torch.manual_seed(0)
    model = ChannelsSecond()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with probe(model) as p:
        for points in (50, 60, 16, 50):
            optimizer.zero_grad()
            model(torch.randn(8, points, 3)).square().mean().backward()
            optimizer.step()
    assert p.record.steps == [0, 1, 2, 3]
    assert np.isfinite(p.record.matrix("delta")).all()
    # The last dimension of the activation's output is that of the points: nothing is known of the sixteen units.
    assert np.isnan(p.record.matrix("dead")[:2, 0]).all()


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning")
def test_transforms_beside_the_step() -> None:
    """Gradients of each sample, and a directional derivative, by torch.func."""
    torch.manual_seed(0)
    model, x, y = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)), torch.randn(6, 4), torch.arange(6) % 2
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def loss(weights: dict[str, Tensor], one: Tensor, label: Tensor) -> Tensor:
        return F.cross_entropy(torch.func.functional_call(model, weights, (one[None],)), label[None])

    def beside() -> list[Tensor]:
        weights = {name: parameter.detach() for name, parameter in model.named_parameters()}
        each = torch.func.vmap(torch.func.grad(loss), (None, 0, 0))(weights, x, y)
        _, slope = torch.func.jvp(model, (x,), (torch.ones_like(x),))
        return [*each.values(), slope.detach()]

    plain = beside()
    with probe(model) as p:
        assert all(map(torch.equal, plain, beside()))
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    delta = p.record.row(0)["delta"]
    with probe(model) as alone:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    assert delta == pytest.approx(alone.record.row(0)["delta"], rel=0.2)


def test_an_error_of_the_measuring_ends_the_measuring_of_that_layer_only() -> None:
    """A layer that returns a tensor of a type of its own, which does not give away its node."""
    torch.manual_seed(0)

    class Odd(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).as_subclass(Refusing)

    class Refusing(Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            if func == Tensor.grad_fn.__get__:
                raise RuntimeError("no node here")
            return super().__torch_function__(func, types, args, kwargs or {})

    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), Odd(8, 8), nn.ReLU(), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with probe(model) as p:
            for _ in range(3):
                optimizer.zero_grad()
                model(torch.randn(6, 4)).square().mean().backward()
                optimizer.step()
    ours = [str(warning.message) for warning in said if "gradpath" in str(warning.message)]
    # What the next layer returns is of that type, too.
    assert sorted(ours) == [
        "gradpath: 2 is not measured any more: RuntimeError: no node here",
        "gradpath: 4 is not measured any more: RuntimeError: no node here",
    ]
    assert p.record.steps == [0, 1, 2]
    delta = dict(zip(p.record.layers, p.record.row(0)["delta"], strict=True))
    assert np.isfinite(delta["0"])
    assert np.isnan(delta["2"])


class Adapted(nn.Linear):
    """A frozen layer with two small weights of its own."""

    def __init__(self, units: int) -> None:
        super().__init__(units, units)
        self.weight.requires_grad_(False)
        self.down, self.up = nn.Parameter(torch.randn(2, units)), nn.Parameter(torch.randn(units, 2))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + x @ self.down.T @ self.up.T


class AdaptedConv(nn.Conv1d):
    def __init__(self) -> None:
        super().__init__(3, 3, 1)
        self.own = nn.Parameter(torch.randn(3, 3))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + (self.own @ x)


class Halved(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight / 2


def computed_from_a_buffer() -> nn.Module:
    layer = nn.Conv1d(3, 3, 1)
    weight = layer.weight.detach()
    del layer.weight
    layer.register_buffer("weight", weight)
    return nn.utils.parametrize.register_parametrization(layer, "weight", Halved())


ODD = {
    "adapters": lambda: nn.Sequential(nn.Flatten(), Adapted(15), nn.ReLU(), Adapted(15), nn.ReLU(), nn.Linear(15, 3)),
    "a convolution with a weight of its own": lambda: nn.Sequential(AdaptedConv(), nn.Flatten(), nn.Linear(15, 3)),
    "a weight computed from a buffer": lambda: nn.Sequential(computed_from_a_buffer(), nn.Flatten(), nn.Linear(15, 3)),
}


@pytest.mark.parametrize("name", ODD)
def test_layers_with_other_weights_than_usual(name: str) -> None:
    torch.manual_seed(0)
    model = ODD[name]()
    optimizer = torch.optim.SGD([parameter for parameter in model.parameters() if parameter.requires_grad], lr=0.1)
    with probe(model) as p:
        F.cross_entropy(model(torch.randn(6, 3, 5)), torch.arange(6) % 3).backward()
        optimizer.step()
    assert p.record.steps == [0]
    assert p.verdict()["coverage"] == {"share": 1.0, "missing": []}


class Strange(torch.optim.Optimizer):
    """Its rate is a word of its own from the third step on."""

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        super().__init__(parameters, {"lr": 0.1})
        self.count = 0

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        self.count += 1
        for group in self.param_groups:
            group["lr"] = 0.1 if self.count < 3 else "slow"
            for parameter in group["params"]:
                parameter -= 0.1 * parameter.grad


def train(model: nn.Module, optimizer: torch.optim.Optimizer, *shape: int) -> None:
    for _ in range(5):
        optimizer.zero_grad()
        model(torch.randn(*shape)).square().mean().backward()
        optimizer.step()


def test_an_error_beside_a_layer_ends_the_measuring_with_one_warning() -> None:
    """What an optimiser tells of itself is read at each step. The training goes on, and what was measured is kept."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
    optimizer = Strange(model.parameters())
    with pytest.warns(RuntimeWarning, match="measuring has been switched off: ValueError") as caught:  # noqa: SIM117
        with probe(model) as p:
            train(model, optimizer, 8, 4)
    assert (len(caught), optimizer.count, p.record.steps) == (1, 5, [0, 1])
    assert p.verdict()["unmeasured"] is None
    assert not torch.nn.modules.module._global_forward_hooks
    with pytest.warns(RuntimeWarning, match="measuring has been switched off") as caught:  # noqa: SIM117
        with probe(model) as p:
            train(model, optimizer, 8, 4)
    assert (len(caught), optimizer.count, p.record.steps) == (1, 10, [])
    assert "no step was measured: measuring has been switched off: ValueError" in p.verdict()["unmeasured"]


def test_a_quantity_that_cannot_be_computed_is_left_out() -> None:
    """Fixed inputs of another shape than the model's."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv1d(1, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(18, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.warns(RuntimeWarning, match="correlation is not measured any more") as caught:  # noqa: SIM117
        with probe(model, inputs=torch.randn(2, 9), rank=True) as p:
            train(model, optimizer, 8, 1, 8)
    assert len(caught) == 1
    assert np.isnan(p.record.matrix("correlation")).all()
    # A kernel has a rank too.
    assert p.record.matrix("rank").tolist() == [[3, 2]] * 5


def test_an_error_of_what_is_called_with_each_row_is_the_callers() -> None:
    torch.manual_seed(0)
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def on_row(_: object) -> None:
        raise OSError("the disk is full")

    with probe(model, on_row=on_row):
        model(torch.randn(8, 4)).square().mean().backward()
        with pytest.raises(OSError, match="the disk is full"):
            optimizer.step()


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning")
@pytest.mark.parametrize("whole", [True, False])
def test_a_scripted_model_trains_as_without_the_probe(whole: bool) -> None:
    """Nobody is told of the calls inside it: its weights are followed, and it is not said to be healthy."""
    torch.manual_seed(0)
    part = torch.jit.script(nn.Sequential(nn.Linear(4, 8), nn.Tanh()))
    model = torch.jit.script(nn.Sequential(nn.Linear(4, 8), nn.Tanh())) if whole else nn.Sequential(part, nn.Linear(8, 2))
    p = steps_of(model, torch.ones(5, 4))
    found = p.verdict()
    assert found["class"] is None
    assert "0.weight" in found["coverage"]["missing"] if whole else found["coverage"]["missing"] == ["0.0.weight"]
    assert (p.record.row(0)["weight_grad_norm"] > 0).all()


def test_another_thread_trains_another_model() -> None:
    """Its passes are not looked at: what they free in the meantime is nobody else's."""
    torch.manual_seed(0)
    ours, theirs = (nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 2)) for _ in range(2))
    done: list[int] = []

    def loop(model: nn.Module, steps: int) -> None:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(steps):
            optimizer.zero_grad()
            model(torch.randn(4, 8)).square().mean().backward()
            optimizer.step()
        done.append(steps)

    with probe(ours) as p:
        thread = threading.Thread(target=loop, args=(theirs, 300))
        thread.start()
        loop(ours, 40)
        thread.join()
    assert sorted(done) == [40, 300]
    assert p.record.steps == [*range(40)]


def test_a_model_may_be_trained_on_another_thread_than_it_is_called() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with probe(model) as p:
        for _ in range(3):
            optimizer.zero_grad()
            loss = model(torch.randn(4, 8)).square().mean()
            thread = threading.Thread(target=loss.backward)
            thread.start()
            thread.join()
            optimizer.step()
    assert p.record.steps == [0, 1, 2]
    assert np.isfinite(p.record.matrix("delta")).all()
