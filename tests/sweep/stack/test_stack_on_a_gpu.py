"""A stack on a GPU: the numbers of one on the CPU, also from a graph. Skipped on a machine without one."""

import pytest
import torch
from test_twins import parts
from torch import Tensor

from gradpath.sweep.stack.graph import WARM_UP, GraphedSteps
from gradpath.sweep.stack.stepping import StackTraining

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
EPOCHS = 5


def training(device: str, *line: str, double: bool = True) -> StackTraining:
    runs = [parts(*line, f"optimizer.lr={rate}", seed=seed, double=double) for rate in (0.01, 0.002) for seed in (0, 1)]
    data, _, objective, *_ = runs[0]
    return StackTraining(
        [network for _, network, *_ in runs], data, objective, [make for *_, make, _ in runs], [s for *_, s in runs],
        [0, 0, 1, 1], [0, 1, 0, 1], epochs=EPOCHS, every=3, slow_every=2, activations=True, device=device,
    )  # fmt: skip


@pytest.mark.parametrize("norm", ["none", "batch_before", "layer_after"])
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "momentum", "rmsprop", "adagrad", "muon", "nadam", "radam"])
def test_a_stack_on_a_gpu_is_one_on_the_cpu(optimizer: str, norm: str) -> None:
    seen: dict[str, list[Tensor]] = {}
    trained = {}
    for device in ("cpu", "cuda"):
        stack = trained[device] = training(device, f"optimizer={optimizer}", f"norm={norm}")
        seen[device] = []
        for epoch in range(EPOCHS):
            seen[device] += [losses.cpu() for losses, *_ in stack.epoch(epoch)]
    # Muon orthogonalises in bfloat16, which a GPU rounds otherwise.
    tolerance = 0.2 if optimizer == "muon" else 1e-7
    torch.testing.assert_close(torch.stack(seen["cuda"]), torch.stack(seen["cpu"]), rtol=tolerance, atol=tolerance)
    rows = [trained[device].measuring.take() for device in ("cpu", "cuda")]
    assert rows[0][0] == rows[1][0]
    torch.testing.assert_close(
        torch.from_numpy(rows[0][1]), torch.from_numpy(rows[1][1]), rtol=max(tolerance, 1e-5) * 10, atol=1e-8, equal_nan=True
    )


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "momentum", "sgd", "rmsprop", "nadam", "radam"])
def test_steps_from_a_graph_are_steps(optimizer: str, schedule: str) -> None:
    line = (f"optimizer={optimizer}", f"schedule={schedule}")
    eager, other = (training("cuda", *line, double=False) for _ in range(2))
    eager.every = other.every = 10**6
    expected = [losses for losses, *_ in eager.epoch(0)]
    given = iter(other.batches.of_epoch(0))
    for _ in range(WARM_UP):
        other.make_step(next(given))
    graph = GraphedSteps(other, 3)
    graph.begin_epoch(other.batches.orders(0))
    graph.place.fill_(WARM_UP * graph.size)
    for replay in range(2):
        losses, _ = graph.replay()
        first = WARM_UP + 3 * replay
        torch.testing.assert_close(losses, torch.stack(expected[first : first + 3]), rtol=1e-4, atol=1e-5)


def test_a_run_that_diverges_in_a_graph_is_noted_with_its_step() -> None:
    stack = training("cuda", "optimizer=adam", double=False)
    stack.every = 10**6
    given = iter(stack.batches.of_epoch(0))
    for _ in range(WARM_UP):
        stack.make_step(next(given))
    graph = GraphedSteps(stack, 3)
    graph.begin_epoch(stack.batches.orders(0))
    graph.replay()
    with torch.no_grad():
        stack.stack.linears[1].weight[2] = torch.nan
    graph.replay()
    assert stack.first_bad.tolist() == [-1, -1, WARM_UP + 3, -1]
