"""What users do in loops of their own: cut losses, wrong optimisers, parts frozen in turn, compiled models, wrong words."""

import copy
import gc
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradpath import GradientFlow
from gradpath.verdict.in_training import Course, findings_in_training
from gradpath.verdict.probing import JudgingProbe, UnhealthyError, probe

X, Y = torch.randn(32, 16, generator=torch.Generator().manual_seed(1)), torch.arange(32) % 4


def perceptron() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4))


def trained(
    model: nn.Module, loss: Callable[[nn.Module], Tensor], parameters: Any = None, steps: int = 5, **options: Any
) -> JudgingProbe:
    given = list(model.parameters() if parameters is None else parameters)
    optimizer = torch.optim.Adam(given) if given else None
    with probe(model, **options) as p:
        for _ in range(steps):
            if optimizer:
                optimizer.zero_grad()
            loss(model).backward()
            optimizer.step() if optimizer else p.step()
    return p


def plain(model: nn.Module) -> Tensor:
    return F.cross_entropy(model(X), Y)


def by_item(model: nn.Module) -> Tensor:
    return torch.tensor(plain(model).item(), requires_grad=True)


def by_data(model: nn.Module) -> Tensor:
    return plain(model).data.requires_grad_()


def by_numpy(model: nn.Module) -> Tensor:
    return F.cross_entropy(torch.from_numpy(model(X).detach().numpy()).requires_grad_(), Y)


def by_no_grad(model: nn.Module) -> Tensor:
    with torch.no_grad():
        out = model(X)
    return F.cross_entropy(out.requires_grad_(), Y)


@pytest.mark.parametrize("loss", [by_item, by_data, by_numpy, by_no_grad])
@pytest.mark.parametrize("by_hand", [False, True])
def test_a_loss_that_is_cut_from_the_network_is_found(loss: Callable[[nn.Module], Tensor], by_hand: bool) -> None:
    p = trained(perceptron(), loss, [] if by_hand else None)
    assert by_hand == ("no step was measured: no backward pass" in (p.verdict()["unmeasured"] or ""))
    (found,) = p.verdict()["findings"]
    assert (found["kind"], found["cause"]) == ("no_gradient", "graph")
    assert found["message"] == "no gradient came back to any layer: the loss is cut from the network"
    assert p.verdict()["undecided"].startswith(
        "the backward pass reached no weight" if not by_hand else "no step was measured"
    )
    for kinds in ((), ("no_gradient",)):
        with pytest.raises(UnhealthyError, match=r"^no_gradient: no gradient came back to any layer"):
            p.check(*kinds)


def test_a_loss_that_is_not_cut_is_not_accused() -> None:
    p = trained(perceptron(), plain)
    assert (p.verdict()["class"], p.verdict()["findings"]) == ("healthy", [])
    p.check()


def test_an_optimiser_of_something_else_is_found() -> None:
    model = perceptron()
    found = trained(model, plain, copy.deepcopy(model).parameters()).verdict()
    assert [(one["kind"], one["cause"], one["remedy"]) for one in found["findings"]] == [
        ("no_update", "optimizer", "an optimizer that is given this model's parameters()")
    ]
    assert found["undecided"] == "no step was measured: the optimisers that stepped hold none of the model's parameters"


def test_what_an_optimiser_was_not_given_has_the_right_remedy() -> None:
    """An adapter whose optimiser holds the frozen weights beside it: these do not move, and the others are not held."""
    model = perceptron()
    model[2].requires_grad_(False)
    (found,) = trained(model, plain, model[2].parameters()).verdict()["findings"]
    assert found["message"] == "0, 4 get a gradient, and no optimiser moves the weights"
    assert found["remedy"].startswith("an optimizer that is given model.parameters()")


@pytest.mark.parametrize("frozen", [False, True])
def test_biases_alone_are_trained_on_purpose(frozen: bool) -> None:
    model = perceptron()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("bias" in name or not frozen)
    assert trained(model, plain, [q for n, q in model.named_parameters() if "bias" in n]).verdict()["findings"] == []


def test_one_bias_alone_is_a_fault() -> None:
    model = perceptron()
    (found,) = trained(model, plain, [model[4].bias]).verdict()["findings"]
    assert (found["kind"], found["message"]) == ("no_update", "0, 2 get a gradient, and no optimiser moves the weights")


def test_biases_whose_gradients_nobody_clears_are_found() -> None:
    model = perceptron()
    optimizer = torch.optim.Adam([q for n, q in model.named_parameters() if "bias" in n])
    with probe(model) as p:
        for _ in range(5):
            plain(model).backward()
            optimizer.step()
    assert [one["kind"] for one in p.verdict()["findings"]] == ["accumulated_gradients"]


@pytest.mark.parametrize("first", ["critic", "maker"])
def test_parts_that_are_frozen_in_turn_make_one_step(first: str) -> None:
    torch.manual_seed(0)
    maker = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2))
    critic = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))
    optimizers = {"maker": torch.optim.Adam(maker.parameters()), "critic": torch.optim.Adam(critic.parameters())}
    parts = {"maker": maker, "critic": critic}
    with probe(nn.ModuleDict(parts)) as p:
        for _ in range(6):
            for name in ("critic", "maker") if first == "critic" else ("maker", "critic"):
                other = parts["maker" if name == "critic" else "critic"].requires_grad_(False)
                optimizers[name].zero_grad()
                given = critic(torch.cat([maker(torch.randn(16, 8)), torch.randn(16, 2)]))
                F.binary_cross_entropy_with_logits(given[:, 0], torch.arange(32) // 16 * 1.0).backward()
                optimizers[name].step()
                other.requires_grad_(True)
    assert p.record.steps == [0, 1, 2, 3, 4, 5]
    assert p.verdict()["class"] == "healthy"
    delta = p.record.row(0)["delta"]
    assert (delta == delta).all()


def course(losses: list[float], update: float = 1e-3) -> Course:
    record: Any = {"step": torch.arange(4).numpy()}
    record |= {"update_ratio": torch.full((4, 2), update).numpy(), "weight_grad_norm": torch.ones(4, 2).numpy()}
    return Course(None, losses, 100, 1e-3, 1e-8, [1, 1], record)


@pytest.mark.parametrize(
    ("losses", "update", "sick"),
    [
        ([-0.10, -0.09, -0.09, -0.08, -0.07, -0.07, -0.06, -0.06], 1e-3, False),
        ([-94.0, -92.0, -90.0, -86.0, -80.0, -75.0, -72.0, -70.0], 1e-3, False),
        ([-0.02, 0.01, -0.01, 0.0, 0.01, 0.005, 0.01, 0.015], 1e-3, False),
        ([-94.0, -92.0, -90.0, -86.0, -80.0, -75.0, -72.0, -70.0], 0.5, True),
        ([-2.0, -2.1, -1.9, 0.0, 10.0, 40.0, 80.0, 90.0], 1e-3, True),
        ([1.0, 1.0, 1.1, 1.2, 1.4, 1.5, 1.6, 1.7], 1e-3, True),
    ],
)
def test_a_loss_without_a_floor_may_rise(losses: list[float], update: float, sick: bool) -> None:
    assert bool(findings_in_training(course(losses, update), [])) == sick


def test_complex_weights_have_a_class_and_no_nan() -> None:
    class Spectral(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = nn.ModuleList(nn.Linear(16, 16, dtype=torch.complex64) for _ in range(5))
            self.head = nn.Linear(16, 4)

        def forward(self, x: Tensor) -> Tensor:
            z = x.to(torch.complex64)
            for part in self.parts:
                z = 40 * part(z)
            return self.head(z.abs())

    torch.manual_seed(0)
    found = trained(Spectral(), plain, steps=1).verdict()
    assert (found["class"], [one["kind"] for one in found["findings"]]) == ("exploding", ["exploding"])
    assert "nan" not in str(found["findings"])


def test_a_model_that_is_compiled_inside_the_block_is_measured() -> None:
    from torch._dynamo.utils import counters

    torch._dynamo.reset()
    counters.clear()
    model, (x, y) = perceptron(), (X, Y)
    optimizer = torch.optim.Adam(model.parameters())

    def step(compiled: Any) -> None:
        optimizer.zero_grad()
        F.cross_entropy(compiled(x), y).backward()
        optimizer.step()

    with warnings.catch_warnings(), probe(model) as p:
        # Torch warns of hooks on all modules.
        warnings.simplefilter("ignore")
        compiled = torch.compile(model, backend="eager")
        step(compiled)
        assert "code that was compiled inside the block" in p.verdict()["undecided"]
        for _ in range(3):
            step(compiled)
    assert p.record.steps == [1, 2, 3]
    assert (p.verdict()["class"], p.verdict()["findings"]) == ("healthy", [])


def test_a_probe_says_in_a_few_lines_what_it_saw() -> None:
    lines = repr(trained(perceptron(), plain)).splitlines()
    assert lines[0] == "probe of Sequential: 5 steps of 3 layers (0, 2, 4)"
    assert lines[1].startswith("class: healthy, |delta| first / last 0.")
    assert lines[2:] == ["no findings"]
    cut = str(trained(perceptron(), by_item)).splitlines()
    assert cut[1].startswith("no class: the backward pass reached no weight")
    assert cut[2].startswith("no_gradient (graph): no gradient came back to any layer")


def test_places_are_named_one_by_one() -> None:
    assert trained(perceptron(), plain, at=["0", "2"]).verdict()["way"] == ["0", "2"]
    for wrong in (["0", "9"], []):
        with pytest.raises(ValueError, match="probe: at"):
            trained(perceptron(), plain, at=wrong)


def test_an_unknown_option_is_told_what_is_meant() -> None:
    for make in (lambda: trained(perceptron(), plain, evry=3), lambda: GradientFlow(evry=3)):
        with pytest.raises(TypeError, match=r"^probe: evry is no option\. Did you mean every\? There are every, "):
            make()
    GradientFlow(every=3, ignore=["saturation"])


def test_a_dimension_that_no_input_has_is_said() -> None:
    with pytest.warns(RuntimeWarning, match="batch_dim=7: no input of the model has such a dimension") as said:
        trained(perceptron(), plain, batch_dim=7)
    assert len([one for one in said if "batch_dim" in str(one.message)]) == 1


def test_a_probe_outside_a_block_says_so() -> None:
    outside: Any = probe(perceptron())
    with pytest.raises(AttributeError, match=r"verdict belongs to p in `with probe\(model\) as p:`"):
        outside.verdict()
    with pytest.warns(RuntimeWarning, match="nothing was measured"):
        forgotten()
    outside._entered = True


def forgotten() -> None:
    probe(perceptron())
    gc.collect()


def test_a_recurrent_layer_that_is_not_seen_in_time_says_why() -> None:
    class Stack(nn.Module):
        def __init__(self, dropout: float) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.rnn, self.head = nn.LSTM(4, 8, 2, batch_first=True, dropout=dropout), nn.Linear(8, 4)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.head(self.rnn(x.view(-1, 4, 4))[0][:, -1])
            return out

    dropped, whole = (trained(Stack(dropout), plain, steps=2).verdict() for dropout in (0.2, 0.0))
    assert dropped["in_time"] == {}
    assert dropped["not_in_time"] == {"rnn": "it is a stack with dropout, and which states were dropped is not known"}
    assert [*whole["in_time"]] == ["rnn", "rnn[1]"]
    assert whole["not_in_time"] == {}
