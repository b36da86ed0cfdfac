"""When a step begins and ends, in loops with several optimisers, with none, and with gradients of all origins."""

import warnings
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradpath.flow.probe import Probe
from gradpath.verdict.probing import probe


def perceptron(*units: int) -> nn.Sequential:
    torch.manual_seed(0)
    parts: list[nn.Module] = []
    for inputs, outputs in pairwise(units):
        parts += [nn.Linear(inputs, outputs), nn.Tanh()]
    return nn.Sequential(*parts[:-1]).double()


def batch(samples: int = 6) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(samples, 4, dtype=torch.float64), torch.randint(2, (samples,))


def deltas(model: nn.Sequential, x: Tensor, y: Tensor) -> list[float]:
    """Root mean square over samples of the gradient of a sample's own loss, from autograd."""
    outputs, h = [], x
    for part in model:
        h = part(h)
        if isinstance(part, nn.Linear):
            outputs.append(h)
    grads = torch.autograd.grad(F.cross_entropy(h, y, reduction="sum"), outputs)
    return [grad.square().sum(1).mean().sqrt().item() for grad in grads]


@pytest.mark.parametrize("every", [1, 2, 5])
def test_a_generator_and_a_discriminator_make_one_step(every: int) -> None:
    torch.manual_seed(0)
    generator, discriminator = perceptron(4, 8, 3), perceptron(3, 8, 1)
    model = nn.ModuleDict({"g": generator, "d": discriminator})
    of_g, of_d = (torch.optim.SGD(part.parameters(), lr=0.01) for part in (generator, discriminator))
    rows: list[tuple[int, int]] = []
    expected = []
    with probe(model, every=every, on_row=lambda p: rows.append((p.step, len(expected)))) as p:
        for _ in range(11):
            z, x = torch.randn(2, 6, 4, dtype=torch.float64), torch.randn(6, 3, dtype=torch.float64)
            of_d.zero_grad()
            (discriminator(generator(z[0]).detach()).mean() - discriminator(x).mean()).backward()
            norms = [layer.weight.grad.norm().item() for layer in (discriminator[0], discriminator[2])]
            of_d.step()
            of_g.zero_grad()
            (-discriminator(generator(z[1])).mean()).backward()
            of_both = [layer.weight.grad.norm().item() for layer in (generator[0], generator[2])] + norms
            of_g.step()
            expected.append(of_both)
    assert rows == [(step, step) for step in range(0, 11, every)]
    names = ["g.0", "g.2", "d.0", "d.2"]
    for row, step in enumerate(p.record.steps):
        found = dict(zip(p.record.layers, p.record.row(row)["weight_grad_norm"], strict=True))
        assert [found[name] for name in names] == pytest.approx(expected[step], rel=1e-9)
        moved = dict(zip(p.record.layers, p.record.row(row)["update_ratio"], strict=True))
        assert all(moved[name] > 0 for name in names)


def test_an_optimiser_that_steps_more_often_counts() -> None:
    critic, generator = perceptron(3, 5, 1), perceptron(4, 5, 3)
    often, seldom = (torch.optim.SGD(part.parameters(), lr=0.01) for part in (critic, generator))
    with probe(nn.ModuleList([critic, generator])) as p:
        for iteration in range(12):
            often.zero_grad()
            critic(torch.randn(5, 3, dtype=torch.float64)).mean().backward()
            often.step()
            if iteration % 4 == 3:
                seldom.zero_grad()
                critic(generator(torch.randn(5, 4, dtype=torch.float64))).mean().backward()
                seldom.step()
    assert p.record.steps == list(range(12))
    assert np.isfinite(p.record.matrix("weight_grad_norm")[:, p.record.layers.index("0.0")]).all()


def test_optimisers_that_step_inside_the_backward_pass() -> None:
    x, y = batch()
    (fused, plain), rows = (perceptron(4, 8, 8, 2) for _ in range(2)), []
    each = {parameter: torch.optim.SGD([parameter], lr=0.1) for parameter in fused.parameters()}

    def step(parameter: Tensor) -> None:
        each[parameter].step()
        each[parameter].zero_grad()

    for parameter in fused.parameters():
        parameter.register_post_accumulate_grad_hook(step)
    whole = torch.optim.SGD(plain.parameters(), lr=0.1)
    for model in (fused, plain):
        with probe(model, on_row=lambda p: rows.append(p.step)) as p:
            for _ in range(4):
                whole.zero_grad()
                F.cross_entropy(model(x), y).backward()
                if model is plain:
                    whole.step()
        found = {name: p.record.matrix(name) for name in ("delta", "weight_grad_norm", "bias_grad_norm", "update_ratio")}
        if model is fused:
            inside = found
    assert rows == [0, 1, 2, 3] * 2
    for name, matrix in found.items():
        assert inside[name] == pytest.approx(matrix, rel=1e-9), name


@pytest.mark.parametrize("to_none", [True, False])
def test_gradients_that_were_thrown_away_belong_to_no_step(to_none: bool) -> None:
    model, (x, y) = perceptron(4, 8, 2), batch()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    expected = deltas(model, x, y)
    with probe(model) as p:
        for _ in range(3):
            # Sharpness-aware minimisation, a saliency map, a search for a learning rate.
            F.cross_entropy(model(2 * x), y).backward()
            optimizer.zero_grad(set_to_none=to_none)
            torch.autograd.grad(model(x.requires_grad_()).sum(), x)
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=to_none)
    for row in p.record.matrix("delta"):
        assert row == pytest.approx(expected, rel=1e-9)


def test_accumulation_with_gradients_of_zero() -> None:
    model, (x, y) = perceptron(4, 8, 2), batch(8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    expected = deltas(model, x, y)
    with probe(model) as p:
        for _ in range(2):
            optimizer.zero_grad(set_to_none=False)
            for part, labels in zip(x.chunk(4), y.chunk(4), strict=True):
                (F.cross_entropy(model(part), labels) / 4).backward()
            optimizer.step()
    assert p.record.matrix("delta") == pytest.approx(np.array([expected] * 2), rel=1e-9)


def test_gradients_that_were_assigned() -> None:
    model, (x, y) = perceptron(4, 8, 2), batch()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    expected = deltas(model, x, y)
    with probe(model) as p:
        grads = torch.autograd.grad(F.cross_entropy(model(x), y), list(model.parameters()))
        for parameter, grad in zip(model.parameters(), grads, strict=True):
            parameter.grad = 3 * grad
        optimizer.step()
    row = p.record.row(0)
    assert row["delta"] == pytest.approx(expected, rel=1e-9)
    assert row["weight_grad_norm"] == pytest.approx([3 * grads[i].norm().item() for i in (0, 2)], rel=1e-9)
    assert row["bias_grad_norm"] == pytest.approx([3 * grads[i].norm().item() for i in (1, 3)], rel=1e-9)


def test_what_is_unfrozen_later_is_measured_from_then_on() -> None:
    model, (x, y) = perceptron(4, 8, 2), batch()
    model[0].requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    norms = []
    with probe(model) as p:
        for step in range(4):
            model[0].requires_grad_(step > 1)
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            norms.append([np.nan if layer.weight.grad is None else layer.weight.grad.norm().item() for layer in model[::2]])
            optimizer.step()
    assert p.record.layers == ["0", "2"]
    assert p.record.matrix("weight_grad_norm") == pytest.approx(np.array(norms), rel=1e-9, nan_ok=True)


def test_a_loop_without_an_optimiser_says_when_a_step_ends() -> None:
    model, (x, y) = perceptron(4, 8, 2), batch()
    with probe(model) as p:
        for step in range(3):
            assert p.step == step
            F.cross_entropy(model(x), y).backward()
            with torch.no_grad():
                ratios = [0.5 * layer.weight.grad.norm().item() / layer.weight.norm().item() for layer in model[::2]]
                for parameter in model.parameters():
                    parameter -= 0.5 * parameter.grad
            p.step()
            model.zero_grad()
            assert p.record.row(step)["update_ratio"] == pytest.approx(ratios, rel=1e-9)
    assert p.record.steps == [0, 1, 2]


def test_a_closure_is_run_inside_the_step() -> None:
    model, (x, y) = perceptron(4, 8, 2), batch()
    expected = deltas(model, x, y)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=1)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        return loss

    with probe(model) as p:
        for _ in range(2):
            optimizer.step(closure)
    assert p.record.steps == [0, 1]
    assert p.record.row(0)["delta"] == pytest.approx(expected, rel=1e-9)


def test_two_losses_of_one_forward_pass_are_one_batch() -> None:
    """In one pass, in two, and in two whose shared part runs twice."""
    found: list[dict[str, Any]] = []
    for style in ("sum", "one after the other"):
        torch.manual_seed(0)
        trunk, a, b = nn.Linear(4, 8), nn.Linear(8, 3), nn.Linear(8, 1)
        model = nn.ModuleList([trunk, a, b]).double()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        x, y = batch()
        with probe(model) as p:
            h = torch.tanh(trunk(x))
            one, two = F.cross_entropy(a(h), y), b(h).square().mean()
            if style == "sum":
                (one + two).backward()
            else:
                one.backward(retain_graph=True)
                two.backward()
            optimizer.step()
        found.append(p.record.row(0))
    for name in ("delta", "delta_rms", "weight_grad_norm"):
        assert found[0][name] == pytest.approx(found[1][name], rel=1e-9), name


def test_a_layer_that_is_exchanged_is_measured_from_then_on() -> None:
    model, (x, _) = perceptron(4, 8, 2), batch()
    norms = []
    with probe(model) as p:
        for step in range(4):
            if step == 2:
                model[2] = nn.Linear(8, 5).double()
                model.append(nn.Linear(5, 3).double())
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            optimizer.zero_grad()
            model(x).square().mean().backward()
            norms.append([layer.weight.norm().item() for layer in model if isinstance(layer, nn.Linear)])
            optimizer.step()
    assert p.record.layers == ["0", "2", "3"]
    for step, expected in enumerate(norms):
        row = p.record.row(step)
        assert row["weight_norm"][: len(expected)] == pytest.approx(expected, rel=1e-9)
        assert np.isfinite(row["delta"]).sum() == len(expected)


def test_a_skipped_step_of_a_scaler_is_none() -> None:
    model, (x, y) = perceptron(4, 8, 2).float(), batch()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    with warnings.catch_warnings(), probe(model, scaler=scaler) as p:
        for step in range(4):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x.float()), y) * (float("inf") if step == 1 else 1)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
    assert p.record.steps == [0, 1, 2]
    assert np.isfinite(p.record.matrix("delta")).all()


def test_rows_are_complete_when_they_are_handed_out() -> None:
    """`on_row` sees both optimisers' layers once the round of optimisers is known."""
    parts = [perceptron(4, 6), perceptron(6, 2)]
    model = nn.Sequential(*parts)
    optimizers = [torch.optim.SGD(part.parameters(), lr=0.1) for part in parts]
    complete: list[bool] = []

    def look(p: Probe) -> None:
        complete.append(bool(np.isfinite(p.record.row(-1)["update_ratio"]).all()))

    with probe(model, on_row=look):
        for _ in range(3):
            model(batch()[0]).square().mean().backward()
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
    assert complete == [True] * 3
