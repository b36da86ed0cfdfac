"""The warning before training beside the training itself: networks just past their limit, and far past it."""

import json
from math import ceil, inf, sqrt
from pathlib import Path
from random import Random

import pytest

from gradpath.activations import activation
from gradpath.studies.outlook_check import RATES, TRAINED, WIDTH
from gradpath.studies.trainings import ONE_EPOCH
from gradpath.theory.layers import Scale
from gradpath.theory.outlook import outlook

pytestmark = pytest.mark.forked

# (activation, sigma_w^2, sigma_b^2, depth, a learning rate that trains it, epochs that it takes at size). Each is 1.05 to
# 1.4 times as deep as its limit.
NEAR = [
    ("selu", 2.0, 0.0, 20, 0.001, 1),
    ("elu", 3.0, 0.0, 15, 0.001, 1),
    ("hardtanh", 0.7, 0.0, 20, 0.01, 1),
    ("elu", 0.6, 0.0, 12, 0.01, 1),
    ("erf", 0.8, 0.05, 30, 0.01, 1),
    ("relu", 3.0, 0.0, 20, 0.001, 3),
]
# The range of sigma_w^2 from which the networks far past their limit are drawn, and that of depth / limit.
FAR = {"hardtanh": (0.3, 0.6), "erf": (0.3, 0.5), "relu": (3.5, 4.5), "elu": (0.3, 0.6)}
BEYOND = (2.15, 3.0)
# As in docs/outlook.md: an epoch of 214 steps. Small: 300 steps of 32.
AT_SIZE = (f"model.width={WIDTH}", *ONE_EPOCH)
SMALL = ("model.width=100", *ONE_EPOCH, "data.batch_size=32", "data.limit=9600")
SIZES = [pytest.param(SMALL, id="small"), pytest.param(AT_SIZE, id="at_size", marks=pytest.mark.exhaustive)]


def drawn(seed: int) -> list[tuple[str, float, int]]:
    """One (activation, sigma_w^2, depth) of each kind in FAR, at a depth beyond twice its limit."""
    random, found = Random(seed), []
    for name, scales in FAR.items():
        sigma_w2 = random.uniform(*scales)
        ahead = outlook(activation(name).double(), [Scale("", WIDTH, sigma_w2, 0.0)] * 2, 1.0, adaptive=False)
        assert ahead is not None
        found.append((name, round(sigma_w2, 3), ceil(random.uniform(*BEYOND) * ahead.limit)))
    return found


def trained(
    command, folder: Path, name: str, sigma_w2: float, sigma_b2: float, depth: int, lr: float, size
) -> tuple[dict[str, float | str], float, str]:
    """Trains one network by the command: its outlook, its test accuracy (0 after a divergence), what the terminal said."""
    scale = ("init=he_normal", f"init.gain={sqrt(sigma_w2)}", f"init.sigma_b2={sigma_b2}")
    done = command(
        "train.py", f"activation={name}", *scale, "model=deep", f"model.depth={depth}", "optimizer=sgd",
        f"optimizer.lr={lr}", *size, f"hydra.run.dir={folder}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads((folder / "result.json").read_text())
    return result["outlook"], result["metrics"].get("test/accuracy", 0.0), done.stdout


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("network", NEAR, ids=lambda network: f"{network[0]}-{network[1]}")
def test_just_past_the_limit_training_is_uncertain(command, tmp_path: Path, network, size) -> None:
    """All six learn. The outlook must not say that they will not."""
    *kind, depth, lr, epochs = network
    longer = (f"trainer.max_epochs={epochs}",) if size == AT_SIZE else ()
    ahead, accuracy, said = trained(command, tmp_path / "run", *kind, depth, lr, (*size, *longer))
    assert 1.05 <= depth / float(ahead["limit"] or inf) <= 1.4
    assert ahead["says"] == "uncertain"
    assert f"warning: {depth} hidden layers may train slowly or not at all" in said
    assert accuracy > TRAINED


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("network", drawn(seed=14), ids=lambda network: f"{network[0]}-{network[1]}")
def test_beyond_twice_the_limit_nothing_trains(command, tmp_path: Path, network, size) -> None:
    name, sigma_w2, depth = network
    for lr in RATES["sgd"]:
        ahead, accuracy, said = trained(command, tmp_path / f"{lr}", name, sigma_w2, 0.0, depth, lr, size)
        assert depth > 2 * float(ahead["limit"] or inf)
        assert ahead["says"] == "will not train"
        assert f"warning: {depth} hidden layers will not train" in said
        assert accuracy <= TRAINED
