"""The whole MLP written out, against autograd and torch.optim, in float64."""

from collections.abc import Mapping
from functools import cache
from itertools import chain, islice, repeat
from typing import Any

import pytest
import torch
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from torch import nn

from conftest import ACTIVATIONS, NORMS
from gradpath.byhand.beside_autograd import Comparison, compare
from gradpath.byhand.derivatives import of_module
from gradpath.byhand.losses import of_objective
from gradpath.byhand.network import by_hand, written_out
from gradpath.byhand.paths import expanded, paths
from gradpath.byhand.steps import of_optimizer
from gradpath.byhand.training import train
from gradpath.config.checks import PROJECT
from gradpath.config.composition import CONF, compose
from gradpath.config.targets import activation, resolve
from gradpath.data.batch import Batch
from gradpath.errors import ConfigError
from gradpath.model.network import MLP
from gradpath.model.objective import Objective, Task
from gradpath.run.build import OUTPUTS, build_optimizer, build_run
from gradpath.run.seeding import seed_everything

LOSSES = {
    "mse": Objective(Task.REGRESSION, nn.MSELoss(), 3),
    "l1": Objective(Task.REGRESSION, nn.L1Loss(), 3),
    "huber": Objective(Task.REGRESSION, nn.HuberLoss(), 3),
    "bce_with_logits": Objective(Task.BINARY, nn.BCEWithLogitsLoss(), 1),
    "cross_entropy": Objective(Task.MULTICLASS, nn.CrossEntropyLoss(), 3),
    "mse_of_classes": Objective(Task.MULTICLASS, nn.MSELoss(), 3),
}
OPTIMIZERS = sorted(path.stem for path in (CONF / "optimizer").glob("*.yaml"))
FEATURES = 6


def drawn(config: Mapping[str, Any], objective: Objective, hidden: list[int], samples: int, seed: int) -> tuple[MLP, Batch]:
    """A network of the configuration's options with every parameter drawn, and a batch.

    Gains and shifts of the normalisation too: at 1 and 0 a mistake in them would not show. Gains about 1: near 0 the next
    normalisation divides by almost nothing, and both sides are rounding.
    """
    layer = config["norm"]["layer"] and resolve("norm.layer", config["norm"]["layer"])
    phi, output = activation(config["activation"]), OUTPUTS[config["model"]["output"]]()
    network = MLP(FEATURES, hidden, objective.outputs, phi, layer, config["norm"]["placement"], output).double()
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            random = torch.randn_like(parameter)
            gain = "norm" in name and "weight" in name
            parameter.copy_(1 + 0.3 * random if gain else random / parameter.shape[-1] ** 0.5)
    inputs = torch.randn(samples, FEATURES, dtype=torch.float64)
    if objective.task == Task.REGRESSION:
        return network, Batch(inputs, torch.randn(samples, 3, dtype=torch.float64))
    return network, Batch(inputs, torch.randint(max(objective.outputs, 2), (samples,)))


@cache
def option(group: str, name: str) -> Mapping[str, Any]:
    return compose(f"{group}={name}")[0][group]


def options(activation: str, norm: str) -> Mapping[str, Any]:
    # Group by group: eighteen configurations to compose, not 65.
    return {"activation": option("activation", activation), "norm": option("norm", norm), "model": option("model", "mlp")}


def check(found: Comparison, network: MLP) -> None:
    assert {row.name for row in found.parameters} == {name for name, _ in network.named_parameters()}
    # A bias before BatchNorm has the gradient 0, as the sum of numbers that are not: 1e-12 of the largest involved. Each
    # BatchNorm magnifies rounding where a unit hardly varies: of 120 networks of 16 to 20 layers, one reached 3e-12.
    tolerance = 1e-12 if len(network.blocks) <= 11 else 1e-11
    for rows in (found.values, [*found.gradients, *found.parameters]):
        scale = max(1.0, *(row.autograd for row in rows))
        assert max(row.difference for row in rows) <= tolerance * scale
    assert found.losses[0] == pytest.approx(found.losses[1], rel=1e-12)
    assert len(found.gradients) == len(found.values)
    # Each intermediate's gradient was asked for once; the outputs' is the loss's own.
    assert list(found.computed.values()) == [1] * (len(found.values) - 1)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_equal_autograd(activation: str, norm: str, loss: str) -> None:
    config = options(activation, norm)

    @seed(f"{activation} {norm} {loss}")
    @settings(deadline=None, max_examples=2)
    @given(st.lists(st.integers(4, 8), min_size=1, max_size=20), st.integers(20, 40), st.integers(0, 2**16))
    def holds(hidden: list[int], samples: int, seed: int) -> None:
        network, batch = drawn(config, LOSSES[loss], hidden, samples, seed)
        check(compare(network, LOSSES[loss], batch), network)

    holds()


@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
def test_outputs_that_are_bounded(output: str) -> None:
    config, _ = compose("loss=mse", f"model.output={output}", "activation=tanh")
    network, batch = drawn(config, LOSSES["mse_of_classes"], [4, 3], 5, 0)
    check(compare(network, LOSSES["mse_of_classes"], batch), network)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_training_follows_torch(optimizer: str) -> None:
    """100 steps of a run's own network over its own batches. No BatchNorm: Adam makes steps of the rounding of gradients
    that are 0."""
    overrides = ("data=xor_noisy", "norm=layer_before", "activation=gelu", f"optimizer={optimizer}")
    config, choices = compose(*overrides, "data.batch_size=16", "model.hidden=[8,6,7]")
    seed_everything(0)
    data, network, objective, _ = build_run(config, choices)
    network = network.double()
    hand = written_out(network)
    begun = {name: value.clone() for name, value in hand.parameters.items()}
    batches = [Batch(x.double(), y) for x, y in islice(chain.from_iterable(repeat(data.train_dataloader())), 100)]
    build = build_optimizer(config["optimizer"], "64-true")
    reference = build(network.parameters())
    for done, batch in zip(train(hand, objective, reference, batches), batches, strict=True):
        reference.zero_grad()
        loss = objective.loss(network(batch.inputs), batch.targets)
        loss.backward()  # type: ignore[no-untyped-call]
        reference.step()
        assert done.loss == pytest.approx(loss.item(), rel=1e-9)
    # NAdam is the most sensitive: rounding has grown to 1.3e-10.
    tolerance = 1e-9 if optimizer == "nadam" else 1e-10
    for name, parameter in network.named_parameters():
        assert (hand.parameters[name] - parameter).abs().max() < tolerance, name
        assert (begun[name] - parameter).abs().max() > 1e-3, name


@pytest.mark.parametrize("norm", ["none", "batch_before", "batch_after", "layer_before"])
def test_the_expansion_by_paths_gives_the_same_and_costs_what_is_counted(norm: str) -> None:
    config, _ = compose("activation=tanh", f"norm={norm}")
    objective = Objective(Task.MULTICLASS, nn.CrossEntropyLoss(), 2)
    network, batch = drawn(config, objective, [3, 2], 3, 0)
    hand = written_out(network)
    found = by_hand(hand, of_objective(objective), *batch)
    shapes = [(3, value.shape[1]) for value in found.values.values()]
    counted = paths(hand.operations, shapes)
    for level, name in enumerate(found.values):
        upstream = found.gradients[list(found.values)[-1]]
        grad, walked = expanded(hand.operations[level:], shapes[level:], upstream)
        assert walked == counted[level] * 3 * shapes[level][1]
        assert torch.allclose(grad, found.gradients[name], rtol=1e-12, atol=1e-15)
    if norm == "none":
        # A path chooses a unit of every layer above.
        assert counted == [3 * 2 * 2, 2 * 2, 2 * 2, 2, 2, 1]
        assert compare(network, objective, batch).paths == 3 * (FEATURES * 12 + 3 * 4 + 3 * 4 + 2 * 2 + 2 * 2 + 2)
        assert compare(network, objective, batch).entries == 3 * (FEATURES + 3 + 3 + 2 + 2 + 2)


def test_no_autograd_inside() -> None:
    config, _ = compose("norm=layer_after")
    network, batch = drawn(config, LOSSES["cross_entropy"], [4], 4, 0)
    found = by_hand(written_out(network), of_objective(LOSSES["cross_entropy"]), *batch)
    numbers = [*found.values.values(), *found.gradients.values(), *found.parameters.values()]
    assert not any(number.requires_grad for number in numbers)
    for path in (PROJECT / "src/gradpath/byhand").glob("*.py"):
        uses = ".backward()" in path.read_text() or "torch.autograd" in path.read_text()
        assert uses == (path.stem == "beside_autograd"), path


def test_what_is_not_written_out_is_said() -> None:
    for module in (nn.PReLU(), nn.GELU(approximate="tanh")):
        with pytest.raises(ConfigError, match=f"activation={type(module).__name__}: no derivative is written out"):
            written_out(MLP(2, [3], 1, lambda module=module: module))
    with pytest.raises(ConfigError, match="norm: nothing is written out for RMSNorm"):
        written_out(MLP(2, [3], 1, nn.ReLU, nn.RMSNorm, "before"))
    with pytest.raises(ConfigError, match="loss=SmoothL1Loss"):
        of_objective(Objective(Task.REGRESSION, nn.SmoothL1Loss(), 3))
    with pytest.raises(ConfigError, match="optimizer=LBFGS"):
        of_optimizer(torch.optim.LBFGS([torch.zeros(1)]), {"w": torch.zeros(1)})


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values_and_slopes_far_out_and_at_the_kinks(name: str) -> None:
    h = torch.tensor([-800.0, -20.0, -1.0, 0.0, 1.0, 20.0, 800.0], dtype=torch.float64, requires_grad=True)
    module = activation(compose(f"activation={name}")[0]["activation"])()
    values = module(h)
    (slopes,) = torch.autograd.grad(values.sum(), h)
    phi = of_module(module)
    assert torch.allclose(phi.value(h.detach()), values, rtol=1e-13, atol=1e-15)
    assert torch.allclose(phi.slope(h.detach()), slopes, rtol=1e-13, atol=1e-15)
