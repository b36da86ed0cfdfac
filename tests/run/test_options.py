"""Every option of every group trains on a small problem, and its loss falls."""

import gzip
from pathlib import Path

import pytest
import torch

from gradpath.config.checks import PROJECT
from gradpath.config.composition import CONF
from gradpath.errors import ConfigError
from gradpath.run.saved import load_curves

pytestmark = pytest.mark.forked

SMALL = (
    "data=mnist",
    "data.limit=640",
    "data.batch_size=64",
    "model.hidden=[32,16]",
    "trainer.accelerator=cpu",
)
# Two pictures of the gradients take longer than four epochs.
WITHOUT_PICTURES = ("probe=none",)


def options(group: str, *apart: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml") if path.stem not in apart)


def losses(folder: Path) -> list[float]:
    return [row["train/loss_epoch"] for row in load_curves(folder) if "train/loss_epoch" in row]


CASES = [
    *((f"activation={name}",) for name in options("activation")),
    *((f"init={name}",) for name in options("init", "zeros", "constant")),
    *((f"norm={name}",) for name in options("norm")),
    *((f"optimizer={name}",) for name in options("optimizer")),
    *((f"schedule={name}",) for name in options("schedule")),
    *((f"probe={name}",) for name in options("probe")),
    *((f"model={name}", "~hidden") for name in options("model", "deep")),
    ("model=deep", "model.depth=4", "model.width=32", "~hidden"),
    ("loss=auto",),
    ("loss=cross_entropy",),
    ("loss=mse", "model.output=softmax"),
    *((f"loss={name}", "data=sine", "~mnist") for name in ("mse", "l1", "huber")),
    *((f"loss={name}", "data=xor_noisy", "~mnist") for name in ("bce_with_logits", "mse")),
    *((f"data={name}", "~mnist") for name in ("xor", "xor_noisy", "sine", "gaussian")),
    ("trainer=auto",),
    ("trainer=cpu",),
]
# Where the probe has something of its own to look at.
WATCHED = ("probe=", "norm=", "activation=identity", "activation=relu", "model=perceptron", "data=sine")


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_the_loss_falls(run_here, case: tuple[str, ...]) -> None:
    dropped = {"~hidden": ("model.hidden",), "~mnist": ("data",)}
    gone = tuple(prefix for mark in case for prefix in dropped.get(mark, ()))
    base = [text for text in SMALL if not (gone and text.startswith(gone))]
    if not case[0].startswith(WATCHED):
        base += WITHOUT_PICTURES
    elif case != ("probe=none",):
        base.append("probe.every=5")
    result, folder = run_here(*base, *(text for text in case if not text.startswith("~")), "trainer.max_epochs=4")
    assert result["status"] == "ok"
    falling = losses(folder)
    assert len(falling) == 4
    assert falling[-1] < 0.99 * falling[0]


@pytest.mark.parametrize("dataset", ["fashion_mnist", "kmnist"])
def test_relatives_of_mnist(run_here, dataset: str, tmp_path: Path) -> None:
    """Their archives are not in the repository, so MNIST's unpacked files are used under their names."""
    raw = tmp_path / {"fashion_mnist": "FashionMNIST", "kmnist": "KMNIST"}[dataset] / "raw"
    raw.mkdir(parents=True)
    for archive in (PROJECT / "data/MNIST/raw").glob("*.gz"):
        (raw / archive.stem).write_bytes(gzip.decompress(archive.read_bytes()))
    _, folder = run_here(*SMALL, f"data={dataset}", f"data.root={tmp_path}", "trainer.max_epochs=3")
    assert losses(folder)[-1] < losses(folder)[0]


def test_trainer_gpu(run_here) -> None:
    call = (*SMALL[:4], "trainer=gpu", "trainer.max_epochs=2")
    if torch.cuda.is_available():
        assert run_here(*call)[0]["status"] == "ok"
    else:
        with pytest.raises(ConfigError, match="trainer: No supported gpu backend found"):
            run_here(*call)


def test_trainer_debug(run_here) -> None:
    result, folder = run_here("trainer=debug")
    rows = [row for row in load_curves(folder) if "train/loss" in row]
    assert [row["step"] for row in rows] == list(range(1, 11))
    assert rows[-1]["train/loss"] < rows[0]["train/loss"]
    assert result["metrics"]["last_epoch"] == 1


def test_zeros_moves_only_the_last_bias(run_here) -> None:
    """With W = 0 and phi(0) = 0, no signal and no gradient gets through. The output's bias learns the class frequencies."""
    _, folder = run_here(*SMALL, "init=zeros", "activation=relu", "trainer.max_epochs=3")
    state = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    moved = [name for name, value in state.items() if value.abs().max() > 0]
    assert moved == ["network.blocks.2.linear.bias"]


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_constant_keeps_all_units_of_a_layer_equal(run_here, activation: str) -> None:
    _, folder = run_here(*SMALL, "init=constant", "init.value=0.01", f"activation={activation}", "trainer.max_epochs=3")
    state = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    first = state["network.blocks.0.linear.weight"].double()
    assert (first - first[0]).abs().max() < 1e-6
    assert (first[0] - 0.01).abs().max() > 1e-4
    singular = torch.linalg.svdvals(first)
    assert singular[1] / singular[0] < 1e-6


@pytest.mark.parametrize(
    ("experiment", "kind"),
    [("vanishing_sigmoid", "vanishing"), ("exploding_tanh", "exploding"), ("chapter_challenge", "healthy")],
)
def test_experiments_show_what_they_are_named_for(run_here, experiment: str, kind: str) -> None:
    result, _ = run_here(f"experiment={experiment}", "data.limit=512", "trainer.max_epochs=1", "trainer.accelerator=cpu")
    assert result["verdict"]["class"] == kind


def test_a_users_own_files(tmp_path: Path, command) -> None:
    """An activation, an optimiser and a data set take one YAML file each, and the data set one function."""
    conf = tmp_path / "conf"
    for group in ("activation", "optimizer", "data"):
        (conf / group).mkdir(parents=True)
    (conf / "activation/sine.yaml").write_text("_target_: torch.sin\n")
    (conf / "activation/prelu.yaml").write_text("_target_: torch.nn.PReLU\ninit: 0.1\n")
    (conf / "optimizer/adamax.yaml").write_text("_target_: torch.optim.Adamax\nlr: 0.01\nmy_key: 1\n")
    (conf / "optimizer/slow_adam.yaml").write_text("defaults: [adam]\nlr: 0.0005\n")
    (conf / "data/ring.yaml").write_text("_target_: my_package.ring\nbatch_size: 32\nradius: 1.5\nepochs: 5\n")
    (tmp_path / "my_package.py").write_text(
        "import torch\n"
        "from gradpath.data.memory import MemoryDataModule, split_off\n"
        "def ring(radius, batch_size, seed):\n"
        "    x = 2 * torch.randn(400, 2, generator=torch.Generator().manual_seed(0))\n"
        "    train, val, test = split_off(x, (x.norm(dim=1) > radius).long(), (0.6, 0.2, 0.2))\n"
        "    return MemoryDataModule(train, val, test, 'binary', 1, batch_size, seed=seed)\n"
    )
    common = ("train.py", "--config-dir", str(conf), "model=two_layer", "trainer.accelerator=cpu")
    refused = command(*common, "optimizer=adamax", "data=xor")
    assert refused.returncode == 2
    assert "my_key" in refused.stderr
    (conf / "optimizer/adamax.yaml").write_text("_target_: torch.optim.Adamax\nlr: 0.01\n")
    for choices in (
        ("activation=sine", "optimizer=adamax", "data=xor", "data.epochs=2"),
        ("activation=prelu", "activation.init=0.2", "optimizer=slow_adam", "data=xor", "data.epochs=2"),
    ):
        done = command(*common, *choices, f"hydra.run.dir={tmp_path / choices[1].split('=')[1]}")
        assert done.returncode == 0, done.stderr
    assert "must be a number" in command(*common, "activation=prelu", "activation.init=high").stderr
    wrong = command(*common, "data=ring")
    assert wrong.returncode == 2
    assert "If you trust the package my_package: export GRADPATH_PACKAGES=my_package" in wrong.stderr


def test_a_package_beside_train_py(project: Path, command, tmp_path: Path) -> None:
    """Every command finds it, and no file that is there already changes."""
    (project / "mylab").mkdir()
    (project / "mylab/rings.py").write_text(
        "import torch\n"
        "from gradpath.data.memory import MemoryDataModule, split_off\n"
        "def rings(radius, batch_size, seed):\n"
        "    x = 2 * torch.randn(400, 2, generator=torch.Generator().manual_seed(0))\n"
        "    train, val, test = split_off(x, (x.norm(dim=1) > radius).long(), (0.6, 0.2, 0.2))\n"
        "    return MemoryDataModule(train, val, test, 'binary', 1, batch_size, seed=seed)\n"
        "def bent_sine(x):\n"
        "    return x + x.sin()\n"
    )
    for group in ("activation", "data"):
        (tmp_path / group).mkdir()
    (tmp_path / "activation/bent.yaml").write_text("_target_: mylab.rings.bent_sine\n")
    (tmp_path / "data/rings.yaml").write_text("_target_: mylab.rings.rings\nbatch_size: 32\nradius: 1.5\nepochs: 2\n")
    own = ("--config-dir", str(tmp_path), "data=rings", "activation=bent", "model=two_layer", "trainer.accelerator=cpu")
    refused = command("train.py", *own)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    trust = {"GRADPATH_PACKAGES": "mylab"}
    run = tmp_path / "run"
    for arguments in (
        ("train.py", *own, f"hydra.run.dir={run}"),
        ("scripts/probe.py", *own, f"hydra.run.dir={tmp_path / 'look'}"),
        ("scripts/evaluate.py", f"run={run}"),
        ("train.py", f"resume={run}", "--config-dir", str(tmp_path), "trainer.max_epochs=3"),
    ):
        done = command(*arguments, **trust)
        assert done.returncode == 0, (arguments, done.stderr)
    # A folder does not vouch for the code that it names.
    refused = command("scripts/evaluate.py", f"run={run}")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "mylab" in refused.stderr
