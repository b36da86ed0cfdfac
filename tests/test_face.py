"""The public names, `from gradpath import probe, mean_field, predict, load_run`, in the checkout and from a wheel."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

import gradpath
from board import chromium, get, serving
from gradpath.config.checks import PROJECT

# The probe, theory and saved runs need none of these.
HEAVY = (
    "lightning",
    "pytorch_lightning",
    "torchmetrics",
    "torchvision",
    "hydra",
    "omegaconf",
    "tensorboard",
    "matplotlib",
    "rich",
)
XOR = ("data=xor", "model.hidden=[8,8]", "trainer.accelerator=cpu")
BLOCKED = f"""
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {HEAVY}:
            raise ImportError(f"{{name}} is not to be imported")

sys.meta_path.insert(0, Blocked())
"""
USED = """
import torch
from torch import nn
from gradpath import load_run, mean_field, predict, probe
from gradpath.theory.layers import Scale

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
with probe(model, folder="mine") as p:
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.randn(16, 6)).square().mean().backward()
        optimizer.step()
rows = predict("tanh", [Scale(f"hidden_{k}", 100, 1.0, 0.0) for k in range(5)], torch.randn(32, 6)).layers
run = load_run("mine")
print(p.verdict()["class"], f"{mean_field('tanh', 1.7610, 0.05).chi_1:.3f}", rows[0].delta < 1, run.steps, run.layers)
"""
EXPECTED = "healthy 1.000 True [0, 1, 2] ['0', '2', '4']\n"


def python(code: str, folder: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_package_loads_nothing_heavy(tmp_path: Path) -> None:
    code = "import sys, gradpath; print([name for name in ('torch', 'numpy', 'lightning', 'hydra') if name in sys.modules])"
    assert python(code, tmp_path) == "[]\n"


def test_the_probe_theory_and_saved_runs_need_torch_and_numpy_alone(tmp_path: Path) -> None:
    assert python(BLOCKED + USED, tmp_path) == EXPECTED


def test_a_name_that_the_package_has_not() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'prob'"):
        gradpath.prob  # noqa: B018
    assert {"probe", "mean_field", "predict", "load_run", "load_sweep"} <= set(dir(gradpath))
    assert gradpath.__version__[0].isdigit()


def test_what_has_no_layer() -> None:
    with pytest.raises(ValueError, match="no layer with weights"), gradpath.probe(torch.nn.ReLU()):
        pass
    with pytest.raises(ValueError, match="no hidden layer"):
        gradpath.predict("tanh", [], torch.randn(4, 3))


def test_a_run_is_read_back(run_here) -> None:
    import pandas

    result, folder = run_here(
        "data=xor", "model.hidden=[8,8]", "trainer.max_epochs=2", "trainer.accelerator=cpu", "probe=standard"
    )
    run = gradpath.load_run(folder)
    assert run.result == json.loads((folder / "result.json").read_text())
    assert run.config["model"]["hidden"] == [8, 8]
    assert isinstance(run.curves, pandas.DataFrame)
    assert run.curves["val/loss"].dropna().iloc[-1] == result["metrics"]["val/loss"]
    with np.load(folder / "flow.npz") as archive:
        assert np.array_equal(run.flow["delta"].to_numpy(), archive["delta"], equal_nan=True)
        assert run.flow["delta"].index.tolist() == archive["step"].tolist() == run.steps
    assert run.flow["delta"].columns.tolist() == run.layers == ["hidden_01", "hidden_02", "output"]
    assert "theory_delta_band" not in run.flow


def test_a_run_is_read_back_without_pandas(run_here) -> None:
    _, folder = run_here(*XOR, "trainer.max_epochs=1")
    code = BLOCKED.replace(str(HEAVY), str((*HEAVY, "pandas"))) + (
        f"from gradpath import load_run\nrun = load_run({str(folder)!r})\n"
        "print(type(run.curves).__name__, type(run.flow['delta']).__name__, run.flow['delta'].shape == (len(run.steps), 3))"
    )
    assert python(code, folder) == "dict ndarray True\n"


def test_what_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no run"):
        gradpath.load_run(tmp_path)
    (tmp_path / "flow.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"flow.npz: damaged"):
        gradpath.load_run(tmp_path)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder outside the checkout that contains the unpacked wheel and nothing else."""
    place = tmp_path_factory.mktemp("wheel")
    # The wheel is built from a copy, because setuptools leaves a build folder beside the sources.
    copy = place / "source"
    shutil.copytree(PROJECT / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, copy)
    built = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        place,
        copy,
    ]
    done = subprocess.run(built, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (archive,) = place.glob("gradpath-*.whl")
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(place / "installed")
    return place / "installed"


def test_the_wheel_gives_all_of_it_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    where = "import gradpath; print(gradpath.__file__)"
    assert python(where, tmp_path, PYTHONPATH=str(wheel)).startswith(str(wheel))
    assert python(USED, tmp_path, PYTHONPATH=str(wheel)) == EXPECTED


def test_the_wheel_has_the_tab(wheel: Path, tmp_path: Path) -> None:
    """TensorBoard with the wheel on its path lists the tab, serves its page, and finds the record that a probe wrote."""
    python(USED, tmp_path, PYTHONPATH=str(wheel))
    with serving("--logdir", tmp_path, env=os.environ | {"PYTHONPATH": str(wheel)}) as url:
        assert get(f"{url}/data/plugins_listing")["gradient_flow"]["tab_name"] == "Gradient Flow"
        assert [run["name"] for run in get(f"{url}/data/plugin/gradient_flow/runs")["runs"]] == ["mine"]
        record = get(f"{url}/data/plugin/gradient_flow/record?run=mine&quantity=delta")
        assert (record["steps"], record["layers"]) == ([0, 1, 2], ["0", "2", "4"])
        with chromium() as browser:
            page = browser.new_page()
            page.goto(f"{url}/#gradient_flow")
            page.frame_locator("iframe").get_by_role("checkbox", name="mine").wait_for()
