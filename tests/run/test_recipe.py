"""A run's folder and its result. The same command gives the same bits."""

import csv
import json
import math
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from conftest import weights
from gradpath.config.composition import compose
from gradpath.errors import ConfigError, RunFailed
from gradpath.run.build import build_run
from gradpath.run.saved import load_curves
from gradpath.run.train import run, seed_everything

SMALL = (
    "data.limit=640",
    "model.hidden=[32,16]",
    "trainer.max_epochs=2",
    "trainer.accelerator=cpu",
    "trainer.log_every_n_steps=2",
)
KEYS = {
    "status", "error", "choices", "seed", "parameters", "metrics", "verdict", "profile", "profile_end", "jacobian",
    "seeds", "theory", "outlook", "durations", "environment", "command",
}  # fmt: skip


def test_the_folder_is_complete(run_here) -> None:
    result, folder = run_here(*SMALL, "seed=3")
    assert sorted(p.name for p in folder.iterdir() if not p.name.startswith("events.out.tfevents")) == [
        "checkpoints", "config.yaml", "flow.npz", "metrics.csv", "overrides.yaml", "result.json",
    ]  # fmt: skip
    assert len(list(folder.glob("events.out.tfevents*"))) == 1
    assert sorted(p.name for p in (folder / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]
    saved = json.loads((folder / "result.json").read_text())
    assert set(saved) == KEYS
    assert saved == json.loads(json.dumps(result))
    assert saved["seed"] == 3
    assert saved["choices"]["activation"] == "relu"
    assert saved["parameters"] == 784 * 32 + 32 + 32 * 16 + 16 + 16 * 10 + 10
    assert set(saved["verdict"]) == {
        "class",
        "ratio",
        "rate_per_layer",
        "interval",
        "undecided",
        "findings",
        "deviation",
        "end",
    }
    assert (saved["verdict"]["class"], saved["verdict"]["findings"]) == ("healthy", [])
    assert saved["verdict"]["end"]["class"] == "healthy"
    assert [row["layer"] for row in saved["profile_end"]] == ["hidden_01", "hidden_02", "output"]
    assert saved["profile_end"][0]["delta"] != saved["profile"][0]["delta"]
    assert [row["layer"] for row in saved["profile"]] == ["hidden_01", "hidden_02", "output"]
    assert [row["layer"] for row in saved["theory"]] == ["hidden_01", "hidden_02"]
    assert saved["seeds"]["draws"] == 5
    assert all(0 < low <= high for low, high in zip(saved["seeds"]["low"], saved["seeds"]["high"], strict=True))
    assert saved["verdict"]["deviation"]["outside"] is False
    assert saved["outlook"]["says"] == "trains"
    assert saved["outlook"]["limit"] > 100
    assert set(saved["metrics"]) == {
        "train/loss", "train/accuracy", "val/loss", "val/accuracy", "test/loss", "test/accuracy", "best_epoch", "last_epoch",
    }  # fmt: skip
    assert {"build", "inspect", "fit", "test"} == set(saved["durations"])
    assert saved["environment"]["torch"] == torch.__version__
    assert saved["environment"]["device"] == "cpu"
    assert saved["environment"]["threads"] == 1


def test_the_saved_configuration_is_the_whole_one(run_here, tmp_path: Path) -> None:
    """It is resolved and self-contained. Running it again gives the same weights to the bit."""
    first, folder = run_here(*SMALL)
    config = OmegaConf.to_container(OmegaConf.load(folder / "config.yaml"))
    assert isinstance(config, dict)
    assert "${" not in (folder / "config.yaml").read_text()
    run({str(k): v for k, v in config.items()}, first["choices"], tmp_path / "again", [])
    again = weights(tmp_path / "again")
    assert all(torch.equal(value, again[name]) for name, value in weights(folder).items())


def test_another_seed_gives_another_network(run_here) -> None:
    _, first = run_here(*SMALL, "seed=0")
    _, second = run_here(*SMALL, "seed=1", folder="second")
    name = "network.blocks.0.linear.weight"
    assert not torch.equal(weights(first)[name], weights(second)[name])


def test_metrics_csv(run_here) -> None:
    result, folder = run_here(*SMALL)
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    steps = [int(row["step"]) for row in rows if row["train/loss"]]
    assert steps == [2, 4, 6, 8, 10]
    validated = [row for row in rows if row["val/accuracy"]]
    assert [row["epoch"] for row in validated] == ["1", "2"]
    accuracies = [float(row["val/accuracy"]) for row in validated]
    assert result["metrics"]["val/accuracy"] == accuracies[-1]
    assert result["metrics"]["best_epoch"] == accuracies.index(max(accuracies)) + 1
    assert float(next(row["lr"] for row in rows if row["lr"])) == pytest.approx(0.001 * (1 + math.cos(math.pi * 2 / 10)) / 2)


def test_training_metrics_are_means_over_samples(run_here) -> None:
    """If the rate is too small to move anything, the epoch's training loss is the untrained network's on all samples."""
    result, _ = run_here(*SMALL, "optimizer=sgd", "optimizer.lr=1e-20", "data.limit=200", "trainer.max_epochs=1")
    config, choices = compose(*SMALL, "data.limit=200")
    seed_everything(0)
    data, network, objective, _ = build_run(config, choices)
    inputs, targets = data.sample(200)
    with torch.no_grad():
        expected = objective.loss(network(inputs), targets).item()
    assert result["metrics"]["train/loss"] == pytest.approx(expected, rel=1e-5)


def test_the_test_metrics_are_those_of_the_last_weights(run_here) -> None:
    from gradpath.run.evaluate import evaluate

    result, folder = run_here(*SMALL)
    again = evaluate(folder)
    assert again == {name: result["metrics"][name] for name in ("test/loss", "test/accuracy")}


def test_the_last_checkpoint_is_the_last_epochs(run_here) -> None:
    """This holds even if the first epoch was the best. Here nothing moves, so no later epoch is better."""
    result, folder = run_here(*SMALL, "optimizer=sgd", "optimizer.lr=1e-20", "trainer.max_epochs=3")
    assert result["metrics"]["best_epoch"] == 1
    saved = {name: torch.load(folder / f"checkpoints/{name}.ckpt", weights_only=True)["epoch"] for name in ("best", "last")}
    assert saved == {"best": 0, "last": 2}


def test_a_failure_is_recorded_with_its_traceback(run_here, tmp_path: Path) -> None:
    # A file lies where the checkpoints' folder should be, so saving fails in the middle of the run.
    (tmp_path / "run").mkdir()
    (tmp_path / "run/checkpoints").touch()
    with pytest.raises(RunFailed, match="traceback in"):
        run_here(*SMALL)
    saved = json.loads((tmp_path / "run/result.json").read_text())
    assert saved["status"] == "failed"
    assert saved["error"]
    assert "Traceback" in saved["traceback"]
    assert set(saved) == KEYS | {"traceback"}


def test_wrong_input_writes_nothing(run_here, tmp_path: Path) -> None:
    for wrong in (("data=sine", "loss=cross_entropy"), ("model.output=softmax",), ("trainer.strategy=nonsense",)):
        base = SMALL[1:] if wrong[0] == "data=sine" else SMALL
        with pytest.raises(ConfigError):
            run_here(*base, *wrong)
        assert list(tmp_path.iterdir()) == []


def test_batchnorm_with_a_last_batch_of_one(run_here) -> None:
    result, _ = run_here(*SMALL, "norm=batch_before", "data.limit=129", "data.batch_size=64")
    assert result["status"] == "ok"


@pytest.mark.parametrize("precision", ["64-true", "bf16-mixed", "bf16-true"])
def test_precisions(run_here, precision: str) -> None:
    result, _ = run_here(*SMALL, f"trainer.precision={precision}", "trainer.max_epochs=6")
    assert result["status"] == "ok"
    assert result["metrics"]["test/accuracy"] > 0.3


def test_a_random_layer_resumes_to_the_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's own noise comes from torch's generator. The checkpoint keeps the generator's state."""
    (tmp_path / "noisy_layer.py").write_text(
        "import torch\n"
        "class Noise(torch.nn.Module):\n"
        "    def __init__(self, width):\n"
        "        super().__init__()\n"
        "    def forward(self, x):\n"
        "        return x + 0.1 * torch.randn_like(x) if self.training else x\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("GRADPATH_PACKAGES", "noisy_layer")
    overrides = (*SMALL, "norm=layer_before", "schedule=constant")
    for folder, epochs, resume in (("whole", 4, "null"), ("parts", 2, "null"), ("parts", 4, str(tmp_path / "parts"))):
        config, choices = compose(*overrides, f"trainer.max_epochs={epochs}", f"resume={resume}")
        config["norm"]["layer"] = {"_target_": "noisy_layer.Noise"}
        run(config, choices, tmp_path / folder, [])
        torch.manual_seed(99)
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


@pytest.mark.parametrize("split", ["val", "test"])
def test_losses_and_metrics_by_hand(run_here, split: str) -> None:
    """The logged numbers equal those of plain torch on that split with the saved weights."""
    result, folder = run_here(*SMALL, "norm=batch_before")
    config, choices = compose(*SMALL, "norm=batch_before")
    data, network, *_ = build_run(config, choices)
    network.load_state_dict({name.removeprefix("network."): value for name, value in weights(folder).items()}, strict=True)
    part = getattr(data, split)
    inputs = (part.inputs.float() / 255 - 0.1307) / 0.3081
    with torch.no_grad():
        outputs = network.eval()(inputs)
    log_p = outputs.log_softmax(1)[torch.arange(len(inputs)), part.targets]
    assert result["metrics"][f"{split}/loss"] == pytest.approx(-log_p.mean().item(), rel=1e-4)
    assert result["metrics"][f"{split}/accuracy"] == pytest.approx((outputs.argmax(1) == part.targets).float().mean().item())


def test_regression_targets_without_a_second_dimension(run_here, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "flat_data.py").write_text(
        "import torch\n"
        "from gradpath.data.memory import MemoryDataModule, split_off\n"
        "def flat(batch_size, seed, **rest):\n"
        "    x = torch.linspace(-1, 1, 100)[:, None]\n"
        "    return MemoryDataModule(*split_off(x, x[:, 0], (0.6, 0.2, 0.2)), 'regression', 1, batch_size, seed=seed)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    config, choices = compose("data=sine", "model.hidden=[8]", "trainer.max_epochs=2", "trainer.accelerator=cpu")
    config["data"]["_target_"] = "flat_data.flat"
    monkeypatch.setenv("GRADPATH_PACKAGES", "flat_data")
    assert run(config, choices, tmp_path / "run", [])["status"] == "ok"


def test_a_loss_that_fell_did_not_rise(run_here) -> None:
    """In a run too short for a logged training loss, the validation loss above it is no training loss."""
    result, folder = run_here(
        "data=gaussian", "data.samples=200", "data.features=500", "optimizer.lr=0.05", "trainer.max_epochs=4",
        "schedule=constant", "model.hidden=[64]",
    )  # fmt: skip
    means = [row["train/loss_epoch"] for row in load_curves(folder) if "train/loss_epoch" in row]
    assert means[-1] < means[0] / 2
    assert result["metrics"]["val/loss"] > 1.5 * means[0]
    assert "divergence" not in [finding["kind"] for finding in result["verdict"]["findings"]]
