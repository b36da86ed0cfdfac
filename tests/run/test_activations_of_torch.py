"""Every activation class of torch.nn, as an option file of a user: it works, or is refused in one line."""

import json
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.modules import activation as activations

from gradpath.model.initialization import resolve_gain
from gradpath.theory.mean_field import critical_sigma_w2
from gradpath.theory.moments import D, V
from gradpath.theory.quadrature import in_float64, slope

pytestmark = pytest.mark.forked

# These mix the units of a layer; RReLU is random. All others that torch has, also those of a later version, have to work.
MIXING = {"GLU", "MultiheadAttention", "RReLU", "Softmax", "Softmax2d", "Softmin", "LogSoftmax"}
ELEMENTWISE = [name for name in activations.__all__ if name not in MIXING]
KEYS = {"Threshold": {"threshold": 0.1, "value": 0.2}, "MultiheadAttention": {"embed_dim": 32, "num_heads": 2}}
# Torch's own gains are for these; every other class gets 1 / sqrt(V(1)).
TORCH_GAINS = ("Sigmoid", "Tanh", "ReLU", "LeakyReLU", "SELU")
# The first has no second derivative in torch, the second jumps.
FEW = ["Hardsigmoid", "Hardshrink"]
DEPTH, STEP = 4, 1e-6


def made(name: str) -> nn.Module:
    module: nn.Module = getattr(nn, name)(**KEYS.get(name, {}))
    return in_float64(module)


def values(phi: nn.Module, h: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return phi(torch.from_numpy(h)).numpy()


def moments(phi: nn.Module, q: float) -> tuple[float, float]:
    """E phi(h)^2 and E phi'(h)^2 for h ~ N(0, q): a sum over a fine grid, with phi' by finite differences.

    No point of the grid lies within STEP of a round number, where an activation bends or jumps.
    """
    z = np.linspace(-9, 9, 400_001) + 1.234e-5
    weights = np.exp(-(z**2) / 2)
    h = sqrt(q) * z
    slopes = (values(phi, h + STEP) - values(phi, h - STEP)) / (2 * STEP)
    return tuple(float((weights * square**2).sum() / weights.sum()) for square in (values(phi, h), slopes))


@pytest.fixture
def options(tmp_path: Path) -> Path:
    """A folder for --config-dir, with an option for every class."""
    folder = tmp_path / "conf/activation"
    folder.mkdir(parents=True)
    for name in activations.__all__:
        keys = "".join(f"{key}: {value}\n" for key, value in KEYS.get(name, {}).items())
        (folder / f"torch_{name.lower()}.yaml").write_text(f"_target_: torch.nn.{name}\n{keys}")
    return folder.parent


def option(name: str) -> str:
    return f"torch_{name.lower()}"


def test_every_class_is_there() -> None:
    assert set(activations.__all__) >= MIXING
    assert len(ELEMENTWISE) >= 21


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_its_slopes_and_moments_are_those_of_finite_differences(name: str) -> None:
    phi = made(name)
    h = np.linspace(-7.9, 7.9, 1001) + 1.234e-4
    differences = (values(phi, h + STEP) - values(phi, h - STEP)) / (2 * STEP)
    assert slope(phi, torch.from_numpy(h)).numpy() == pytest.approx(differences, abs=1e-7)
    for q in (0.3, 1.0, 4.0):
        assert (V(phi, q), D(phi, q)) == pytest.approx(moments(phi, q), rel=1e-4)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_its_scales_keep_what_they_promise(name: str) -> None:
    """The gain keeps the length of the first layer's outputs, and the critical scale keeps |delta| over four layers."""
    phi = made(name)
    if name not in TORCH_GAINS:
        assert resolve_gain("auto", phi) ** 2 * moments(phi, 1.0)[0] == pytest.approx(1, rel=1e-4)
    sigma_w2 = critical_sigma_w2(phi, 0.0, 1.0, DEPTH)
    q, growth = sigma_w2, 1.0
    for _ in range(DEPTH - 1):
        length, slopes = moments(phi, q)
        q, growth = sigma_w2 * length, growth * sigma_w2 * slopes
    assert growth == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize(
    "names",
    [pytest.param(FEW, marks=pytest.mark.part), pytest.param(ELEMENTWISE, marks=pytest.mark.slow)],
    ids=["few", "all"],
)
def test_it_is_predicted_and_trains(names: list[str], options: Path, tmp_path: Path, command) -> None:
    """With the gain made for it, at its critical scale, and with the initialisation that looks at data."""
    common = ("--config-dir", str(options), "data=gaussian", "model=deep", f"model.depth={DEPTH}", "model.width=64")
    everyone = "activation=" + ",".join(map(option, names))
    looked = command(
        "scripts/probe.py", "-m", *common, everyone, "init=he_normal,critical,lsuv", f"hydra.sweep.dir={tmp_path / 'looks'}"
    )
    assert (looked.returncode, looked.stderr) == (0, "")
    results = [json.loads(path.read_text()) for path in (tmp_path / "looks").rglob("result.json")]
    assert len(results) == 3 * len(names)
    for result in results:
        assert result["theory"], result["choices"]
        assert result["outlook"], result["choices"]
        if result["choices"]["init"] == "critical":
            assert result["verdict"]["class"] == "healthy", result["choices"]
    trained = command(
        "train.py", "-m", *common, everyone, "init=critical", "probe=none", "trainer=cpu", "trainer.max_epochs=1",
        "data.samples=256", f"hydra.sweep.dir={tmp_path / 'runs'}",
    )  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    results = [json.loads(path.read_text()) for path in (tmp_path / "runs").rglob("result.json")]
    assert [result["status"] for result in results] == ["ok"] * len(names)


@pytest.mark.parametrize("name", sorted(MIXING))
@pytest.mark.parametrize("init", ["pytorch", "he_normal", "critical"])
def test_one_that_is_not_element_wise_is_refused_in_one_line(
    options: Path, tmp_path: Path, command, name: str, init: str
) -> None:
    place = tmp_path / "run"
    for script in ("train.py", "scripts/probe.py") if init == "pytorch" else ("scripts/probe.py",):
        done = command(
            script, "--config-dir", str(options), "data=gaussian", "model=deep", f"model.depth={DEPTH}", "model.width=32",
            f"activation={option(name)}", f"init={init}", f"hydra.run.dir={place}",
        )  # fmt: skip
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert done.stderr.startswith("error: activation: ")
        assert name in done.stderr
        assert not place.exists()
