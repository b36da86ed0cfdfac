"""Runs the README's commands as a user types them."""

import json
import re
import signal
import subprocess
from pathlib import Path

import pytest
import torch

from board import wait_until
from conftest import weights

QUICK = ("data.limit=640", "trainer.max_epochs=1", "trainer.accelerator=cpu")


def test_a_choice_of_each_group(command, project: Path) -> None:
    done = command("train.py", "optimizer=adam", "activation=gelu", *QUICK, fresh=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    (folder,) = (project / "logs/runs").glob("gelu-limit640-*-s0/*")
    assert json.loads((folder / "result.json").read_text())["choices"]["activation"] == "gelu"
    lines = done.stdout.splitlines()
    assert lines[0] == "gradpath, seed 0"
    assert any("activation=gelu" in line for line in lines)
    assert any(re.search(r"hidden_01\s+784 -> 512\s+401,920", line) for line in lines)
    assert any(re.fullmatch(r"epoch 1/1  step 5  .*val/loss [\d.]+  val/accuracy [\d.]+", line) for line in lines)
    assert any(line.startswith("  TensorBoard: tensorboard --logdir logs/runs/gelu") for line in lines)
    # Only our own lines are printed: no tips, no warnings, no devices that were not asked for.
    assert not [line for line in lines if re.search(r"\b(warning|tip|litlogger|available|[HT]PU)", line, re.IGNORECASE)]


def test_evaluate_prints_what_training_printed(command, project: Path) -> None:
    trained = command("train.py", *QUICK, "seed=5", "hydra.run.dir=logs/runs/evaluated")
    evaluated = command("scripts/evaluate.py", "run=logs/runs/evaluated", fresh=True)
    assert evaluated.returncode == 0, evaluated.stderr
    which, *printed = evaluated.stdout.splitlines()
    assert which == "run: logs/runs/evaluated"
    assert [line.split(":")[0] for line in printed] == ["test/loss", "test/accuracy"]
    for line in printed:
        assert f"  {line}\n" in trained.stdout


def test_a_sweep_as_typed(command, project: Path) -> None:
    before = {*(project / "logs/sweeps").glob("2*")}
    done = command("train.py", "-m", "activation=sigmoid,relu", "init=xavier_normal,he_normal", *QUICK)
    assert done.returncode == 0, done.stderr
    (sweep,) = {*(project / "logs/sweeps").glob("2*")} - before
    chosen = {
        (result["choices"]["activation"], result["choices"]["init"])
        for result in (json.loads(path.read_text()) for path in sweep.glob("*/result.json"))
    }
    assert chosen == {(a, i) for a in ("sigmoid", "relu") for i in ("xavier_normal", "he_normal")}
    assert sorted(path.name.split("-limit")[0] for path in sweep.iterdir() if path.is_dir()) == [
        "0-sigmoid-xavier_normal", "1-sigmoid-he_normal", "2-relu-xavier_normal", "3-relu-he_normal",
    ]  # fmt: skip


def test_an_experiment_can_be_a_sweep(command, project: Path) -> None:
    done = command("train.py", "experiment=batchnorm_placement", *QUICK, "hydra.sweep.dir=logs/sweeps/placement")
    assert done.returncode == 0, done.stderr
    results = [json.loads(path.read_text()) for path in (project / "logs/sweeps/placement").glob("*/result.json")]
    assert {result["choices"]["norm"] for result in results} == {"none", "batch_before", "batch_after"}


def test_the_same_command_twice_gives_the_same_bits(command, project: Path) -> None:
    for name in ("first", "second"):
        assert command("train.py", *QUICK, "norm=batch_before", f"hydra.run.dir=logs/runs/{name}").returncode == 0
    first, second = (weights(project / "logs/runs" / name) for name in ("first", "second"))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.slow
def test_two_processes_equal_one(command, project: Path) -> None:
    """With gloo and the same global batch, two processes give the same metrics to 1e-4, and one folder.

    Smaller: flow/test_probe_processes.py, data/test_memory.py, and the next test.
    """
    common = (
        "data.limit=2000",
        "trainer.max_epochs=2",
        "trainer.accelerator=cpu",
        "trainer.log_every_n_steps=4",
        "trainer.precision=64-true",
        "trainer.gradient_clip_val=1.0",
        "probe=standard",
        "probe.every=4",
    )
    one = command("train.py", *common, "hydra.run.dir=logs/ddp/one")
    two = command("train.py", *common, "trainer=ddp", "trainer.devices=2", "hydra.run.dir=logs/ddp/two")
    assert one.returncode == two.returncode == 0, two.stderr
    assert two.stderr == ""
    assert sorted(path.name for path in (project / "logs/ddp").iterdir()) == ["one", "two"]
    results = [json.loads((project / f"logs/ddp/{name}/result.json").read_text()) for name in ("one", "two")]
    assert results[0]["metrics"].keys() == results[1]["metrics"].keys()
    for name, value in results[0]["metrics"].items():
        assert results[1]["metrics"][name] == pytest.approx(value, abs=1e-4), name
    names = [
        {path.name for path in (project / f"logs/ddp/{name}").iterdir() if "tfevents" not in path.name}
        for name in ("one", "two")
    ]
    assert names[0] == names[1]
    import numpy as np

    records = [np.load(project / f"logs/ddp/{name}/flow.npz") for name in ("one", "two")]
    quantities = {name for name in records[0].files if records[0][name].ndim == 2}
    assert {"delta", "weight_grad_norm_clipped", "update_ratio", "activation_variance", "dead"} <= quantities
    for quantity in quantities:
        assert records[1][quantity] == pytest.approx(records[0][quantity], rel=1e-6, nan_ok=True), quantity


def test_two_processes_notice_divergence(command, project: Path) -> None:
    """The run has nine steps, fewer than lie between two checks of the host. The host also checks when an epoch ends."""
    done = command(
        "train.py", "trainer=ddp", "trainer.accelerator=cpu", "data=xor_noisy", "data.limit=500", "data.epochs=2",
        "optimizer=sgd", "optimizer.lr=1e30", "activation=identity", "hydra.run.dir=logs/runs/hot_ddp",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (project / "logs/runs").glob("hot_ddp*")] == ["hot_ddp"]
    result = json.loads((project / "logs/runs/hot_ddp/result.json").read_text())
    assert result["status"] == "diverged"
    assert re.search(r"first at step [1-4] in hidden_01 \(weight\)", result["error"])


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_a_signal_to_the_parent_of_two_processes(number: signal.Signals, start, project: Path) -> None:
    """It ends the processes that train, too. The terminal's Ctrl-C reaches them anyway, `kill` does not."""
    folder = project / f"logs/runs/ddp_{number.name}"
    process = start(
        "train.py", "trainer=ddp", "trainer.accelerator=cpu", "data=xor_noisy", "data.epochs=100000", "probe=none",
        f"hydra.run.dir={folder}", fresh=True,
    )  # fmt: skip
    wait_until((folder / "checkpoints/last.ckpt").is_file)
    process.send_signal(number)
    process.wait(60)
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number)
    session = ["pgrep", "-s", str(process.pid)]
    wait_until(lambda: subprocess.run(session, capture_output=True, check=False).returncode == 1, seconds=60)
    assert not (folder / "result.json").exists()
    out, err = process.communicate()
    assert "Traceback" not in err
    assert number == signal.SIGKILL or f"python train.py resume={folder.relative_to(project)}" in out


def test_divergence_is_an_observation(command, project: Path) -> None:
    hot = ("data=xor_noisy", "optimizer=sgd", "optimizer.lr=1e30", "activation=identity", "trainer.accelerator=cpu")
    done = command("train.py", *hot, "hydra.run.dir=logs/runs/hot")
    assert done.returncode == 0, done.stderr
    assert re.search(r"diverged: NaN or Inf first at step \d+ in (hidden_0\d|output) \([a-z -]+\)", done.stdout)
    counted = command("train.py", *hot, "fail_on_divergence=true", "hydra.run.dir=logs/runs/hot2")
    assert counted.returncode == 1
    assert counted.stderr.count("\n") == 1


def test_a_single_run_has_what_hydra_gives(command, project: Path) -> None:
    """Interpolations in the folder's name, variables of the environment, another working directory, Hydra's own files."""
    tiny = ("data=xor", "data.epochs=1", "model.hidden=[4]", "trainer.accelerator=cpu")
    named = "${hydra:runtime.choices.activation}-${hydra:job.name}-${hydra.job.override_dirname}"
    assert (
        command("train.py", *tiny, "experiment=null", "seed=3", f"hydra.run.dir=logs/hydra/../named/{named}").returncode == 0
    )
    (folder,) = (project / "logs/named").iterdir()
    assert folder.name.startswith("relu-train-data.epochs=1,data=xor,")
    assert folder.name.endswith(",seed=3,trainer.accelerator=cpu")
    assert not (project / "logs/hydra").exists()
    own = ("hydra.job.chdir=true", "hydra.output_subdir=.hydra", "hydra/job_logging=default")
    done = command("train.py", *tiny, *own, "hydra.run.dir=logs/own")
    assert done.returncode == 0, done.stderr
    assert {".hydra", "train.log", "result.json"} <= {path.name for path in (project / "logs/own").iterdir()}
    refused = command("train.py", "data=sine", "loss=cross_entropy", *own, "hydra.run.dir=logs/refused")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1), refused.stderr
