"""What a GPU changes: nothing in the numbers, and no step waits for it. Skipped on a machine without one."""

import copy
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from conftest import weights
from gradpath import load_run
from gradpath.flow import record
from gradpath.studies.ways_by_hand import loss_of
from gradpath.studies.zoo_networks import MORE
from gradpath.verdict.probing import JudgingProbe, probe

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

SMALL = ("data.limit=1280", "model.hidden=[64,32]", "trainer.max_epochs=2", "trainer.log_every_n_steps=5")
LEVELS: dict[str, dict[str, Any]] = {
    "none": {},
    "gradients": {"activations": False, "follow": False},
    "standard": {"slow_every": 3},
    "all": {"rank": True, "keep": True},
}


def network(name: str, device: str, kind: torch.dtype) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    make, inputs = MORE[name]
    model, x = make(), inputs()
    return model.to(device, kind), x.to(device, kind if x.is_floating_point() else x.dtype)


def steps(model: nn.Module, x: Tensor, count: int = 4) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(count):
        optimizer.zero_grad()
        loss_of(model(x)).backward()
        optimizer.step()


def measured(name: str, device: str) -> JudgingProbe:
    model, x = network(name, device, torch.float64)
    with probe(model, rank=True) as p:
        steps(model, x)
    return p


@pytest.mark.parametrize("name", MORE)
def test_what_is_measured_on_a_gpu_is_what_is_measured_on_the_cpu(name: str) -> None:
    on_cpu, on_gpu = measured(name, "cpu"), measured(name, "cuda")
    assert on_gpu.record.layers == on_cpu.record.layers
    assert on_gpu.record.steps == on_cpu.record.steps
    for step in range(len(on_cpu.record.steps)):
        expected, found = on_cpu.record.row(step), on_gpu.record.row(step)
        assert expected.keys() == found.keys()
        for quantity, values in expected.items():
            np.testing.assert_allclose(found[quantity], values, rtol=1e-6, atol=1e-12, err_msg=f"{quantity} at {step}")
    first, second = on_cpu.verdict(), on_gpu.verdict()
    assert (first["class"], first["way"], first["coverage"]) == (second["class"], second["way"], second["coverage"])
    assert [finding["kind"] for finding in first["findings"]] == [finding["kind"] for finding in second["findings"]]


@pytest.mark.parametrize("name", MORE)
def test_a_training_on_a_gpu_is_left_as_it_was(name: str) -> None:
    """Sums that a GPU makes in no fixed order are made in one for the comparison."""
    results = []
    for level, options in LEVELS.items():
        model, x = network(name, "cuda", torch.float32)
        torch.cuda.manual_seed(1)
        torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=".*deterministic")
                if level == "none":
                    steps(model, x)
                else:
                    with probe(model, **options):
                        steps(model, x)
        finally:
            torch.use_deterministic_algorithms(False)
        results.append(([value.cpu() for value in model.state_dict().values()], torch.cuda.get_rng_state()))
    for (state, generator), level in zip(results[1:], [*LEVELS][1:], strict=True):
        assert all(torch.equal(a, b) for a, b in zip(results[0][0], state, strict=True)), level
        assert torch.equal(results[0][1], generator), level


def waits(count: int, **options: Any) -> int:
    """How often a loop of so many steps waited for the GPU."""
    torch.manual_seed(0)
    model = nn.Sequential(*(part for _ in range(6) for part in (nn.Linear(64, 64), nn.Tanh()))).cuda()
    x = torch.randn(32, 64, device="cuda")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with probe(model, **options), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            for _ in range(count):
                optimizer.zero_grad()
                model(x).square().mean().backward()
                optimizer.step()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return sum("synchronizing" in str(one.message) for one in said)


def test_steps_do_not_wait_for_the_gpu() -> None:
    """A step that is not measured does not wait at all, and a measured one a few times, whatever the number of layers."""
    per_step = (waits(11) - waits(1)) / 10
    assert per_step <= 4, per_step
    assert waits(41, every=1000) - waits(1, every=1000) <= 4


def test_a_run_on_a_gpu(run_here) -> None:
    there, folder = run_here(*SMALL, "trainer=gpu", "trainer.precision=64-true", "probe=standard", folder="gpu")
    here, other = run_here(*SMALL, "trainer=cpu", "trainer.precision=64-true", "probe=standard", folder="cpu")
    assert there["environment"]["device"] == "cuda:0"
    for key, value in here["metrics"].items():
        assert there["metrics"][key] == pytest.approx(value, rel=1e-3), key
    ours, theirs = record.load(folder), record.load(other)
    assert ours["step"].tolist() == theirs["step"].tolist()
    for quantity in ("delta", "weight_grad_norm", "update_ratio", "activation_variance"):
        np.testing.assert_allclose(ours[quantity], theirs[quantity], rtol=1e-4, err_msg=quantity)
    assert there["verdict"]["class"] == here["verdict"]["class"]
    assert load_run(folder).result["status"] == "ok"


@pytest.mark.parametrize("precision", ["16-mixed", "bf16-mixed", "bf16-true"])
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "muon"])
def test_mixed_precision(run_here, precision: str, optimizer: str) -> None:
    result, folder = run_here(*SMALL, "trainer=gpu", f"trainer.precision={precision}", f"optimizer={optimizer}")
    assert result["status"] == "ok"
    assert result["metrics"]["test/accuracy"] > 0.5
    full, other = run_here(*SMALL, "trainer=gpu", f"optimizer={optimizer}", folder="full")
    # Gradients are measured as they are, without the scaler's factor.
    np.testing.assert_allclose(record.load(folder)["delta"][0], record.load(other)["delta"][0], rtol=0.1)
    assert full["verdict"]["class"] == result["verdict"]["class"]


def test_a_run_goes_on_with_the_same_bits(run_here) -> None:
    line = (*SMALL, "trainer=gpu", "schedule=constant")
    whole, folder = run_here(*line, "trainer.max_epochs=3", folder="whole")
    run_here(*line, folder="parts")
    more, other = run_here(*line, "trainer.max_epochs=3", f"resume={folder.parent / 'parts'}", folder="parts")
    assert more["metrics"] == whole["metrics"]
    assert all(torch.equal(value, weights(other)[name]) for name, value in weights(folder).items())


def test_divergence_is_found(run_here) -> None:
    result, _ = run_here(*SMALL, "trainer=gpu", "optimizer=sgd", "optimizer.lr=1e20")
    assert result["status"] == "diverged"


def test_jobs_of_a_sweep_share_the_gpu(command, tmp_path: Path) -> None:
    """Two at a time on one GPU, forked from a process that has not touched it."""
    ended = command(
        "train.py", "-m", *SMALL, "trainer=gpu", "seed=range(4)", "hydra.launcher.jobs=2",
        f"hydra.sweep.dir={tmp_path / 's'}", fresh=True,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    for folder in sorted((tmp_path / "s").glob("[0-9]*")):
        assert load_run(folder).result["environment"]["device"] == "cuda:0"


def test_recurrent_layers_of_cudnn() -> None:
    """Their gradient over time is measured by a loop of our own."""
    torch.manual_seed(0)
    for kind in (nn.LSTM, nn.GRU, nn.RNN):
        rows = []
        model = nn.ModuleDict({"rnn": kind(6, 8, 2, batch_first=True), "head": nn.Linear(8, 3)})
        x = torch.randn(5, 12, 6)
        for device in ("cpu", "cuda"):
            there = copy.deepcopy(model).to(device)
            optimizer = torch.optim.SGD(there.parameters(), lr=0.1)
            with probe(there) as p:
                there["head"](there["rnn"](x.to(device))[0][:, -1]).square().mean().backward()
                optimizer.step()
            rows.append((p.record.row(0), p.verdict()["in_time"]))
        for quantity, values in rows[0][0].items():
            np.testing.assert_allclose(rows[1][0][quantity], values, rtol=1e-2, atol=1e-6, err_msg=quantity)
        assert rows[0][1].keys() == rows[1][1].keys()
