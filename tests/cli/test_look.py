"""`scripts/probe.py` does step 0 without training."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from conftest import tree

pytestmark = pytest.mark.forked


def test_a_look_at_one_network(command, project: Path) -> None:
    done = command("scripts/probe.py", "activation=sigmoid", "init=xavier_normal", "model=deep", "model.depth=12",
                   "hydra.run.dir=logs/probes/one")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "gradient at the start: vanishing" in done.stdout
    assert "cause, remedy: activation: try activation=relu init=he_normal" in done.stdout
    assert re.search(
        r"measured 0\.23\d* per layer \(0\.23\d* to 0\.2\d+ over 5 seeds\), theory 0\.23\d* to 0\.2\d+: inside", done.stdout
    )
    assert "warning: 12 hidden layers may train slowly or not at all: " in done.stdout
    assert "with sigmoid at sigma_w^2 = 1, sigma_b^2 = 0 the layers forget" in done.stdout
    assert "through about 24 such factors" in done.stdout
    folder = project / "logs/probes/one"
    assert {path.name for path in folder.iterdir()} == {"config.yaml", "flow.npz", "result.json"}
    result = json.loads((folder / "result.json").read_text())
    assert (result["status"], result["verdict"]["class"], len(result["profile"])) == ("ok", "vanishing", 13)
    assert result["metrics"] == {}
    flow = np.load(folder / "flow.npz")
    assert flow["delta"].tolist() == [[row["delta"] for row in result["profile"]]]
    assert json.loads(str(flow["verdict"]))["class"] == "vanishing"
    # A run begins with exactly what the look found.
    trained = command("train.py", "activation=sigmoid", "init=xavier_normal", "model=deep", "model.depth=12",
                      "data.limit=640", "trainer.max_epochs=1", "hydra.run.dir=logs/runs/after_the_look")  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    begun = json.loads((project / "logs/runs/after_the_look/result.json").read_text())
    for key in ("profile", "seeds", "theory", "outlook"):
        assert begun[key] == result[key]
    assert begun["verdict"]["deviation"] == result["verdict"]["deviation"]
    # A folder is not written twice, and a look is not a run to continue.
    before = tree(project / "logs")
    for arguments in (["hydra.run.dir=logs/probes/one"], ["resume=logs/runs/after_the_look"]):
        again = command("scripts/probe.py", *arguments)
        assert (again.returncode, again.stderr.count("\n")) == (2, 1), again.stderr
    assert tree(project / "logs") == before


def test_a_grid_in_one_line_each(command, project: Path) -> None:
    done = command("scripts/probe.py", "-m", "activation=sigmoid,tanh", "init=xavier_normal,critical", "model=deep",
                   "model.width=64", "hydra.sweep.dir=logs/probes/grid")  # fmt: skip
    assert done.returncode == 0, done.stderr
    heading, *lines = done.stdout.splitlines()
    assert heading.split()[:5] == ["gradient", "measured", "theory", "is", "training"]
    assert len(lines) == 4
    assert lines[0].split()[0] == "vanishing"
    assert [line.split()[0] for line in lines[1:]] == ["healthy"] * 3
    # Each line has the measured and the predicted ratio, the deviation test and the outlook.
    for line, outlook in zip(lines, ("will not train, 20 > 8", "trains", "trains", "trains"), strict=True):
        _, measured, predicted, deviation, *rest = line.split()
        assert float(measured) == pytest.approx(float(predicted), rel=0.5)
        assert deviation == "inside"
        assert " ".join(rest).startswith(outlook)
    assert lines[0].endswith("activation=sigmoid init=xavier_normal model=deep model.width=64")
    results = [json.loads(path.read_text()) for path in (project / "logs/probes/grid").glob("*/result.json")]
    assert sorted(result["verdict"]["class"] for result in results) == ["healthy"] * 3 + ["vanishing"]


@pytest.mark.parametrize("typed", ["activation=sigmoidd", "model.depth=5", "init.gain=-1"])
def test_wrong_input(command, project: Path, typed: str) -> None:
    before = tree(project)
    done = command("scripts/probe.py", typed)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith(f"error: {typed}")
    assert tree(project) == before


def test_the_warning_before_training(command, project: Path) -> None:
    """The example of Schoenholz et al. 2016: tanh at sigma_w^2 = 1, sigma_b^2 = .05, 40 layers. Its remedy works."""
    network = ("activation=tanh", "init=he_normal", "init.gain=1", "init.sigma_b2=0.05", "model=deep", "model.depth=40")
    short = ("data.limit=256", "trainer.max_epochs=1", "model.width=100")
    done = command("train.py", *network, "optimizer=sgd", *short, "hydra.run.dir=logs/runs/past")
    assert done.returncode == 0, done.stderr
    warning = done.stdout[done.stdout.index("warning: 40 hidden layers") :].splitlines()[:3]
    assert re.search(r"may train slowly or not at all: .* theory trusts at most 2\d\.$", warning[0])
    assert re.search(r"why: with tanh at sigma_w\^2 = .*forget.* every 3\.\d layers; .* about 6 such factors\.$", warning[1])
    # A remedy other than theory's would only confuse.
    assert "xavier_normal" not in done.stdout
    assert re.fullmatch(r"  remedy: init=critical, sigma_w\^2 = 1\.\d\d", warning[2])
    result = json.loads((project / "logs/runs/past/result.json").read_text())
    assert (result["status"], result["outlook"]["says"]) == ("ok", "uncertain")
    for better in (["init=critical"], ["init.gain=1.327"], ["model.depth=15"], ["optimizer=adam"]):
        typed = [text for text in network if text.split("=")[0] not in [other.split("=")[0] for other in better]]
        if better == ["init=critical"]:
            typed.remove("init.gain=1")
        looked = command(
            "scripts/probe.py", *typed, *([] if "adam" in better[0] else ["optimizer=sgd"]), "model.width=100", *better
        )
        assert looked.returncode == 0, looked.stderr
        assert "theory trusts" not in looked.stdout, better


def test_the_warning_of_networks_without_a_depth_scale(command, tmp_path: Path) -> None:
    """ReLU's length map has no fixed point here: the warning speaks of the gradient, at twice the limit and more."""
    network = ("activation=relu", "init=he_normal", "init.gain=1", "model=deep", "model.depth=30", "optimizer=sgd")
    looked = command("scripts/probe.py", *network, "model.width=300", f"hydra.run.dir={tmp_path / 'look'}")
    assert looked.returncode == 0, looked.stderr
    warning = looked.stdout[looked.stdout.index("warning: 30 hidden layers") :].splitlines()[:3]
    assert "will not train: " in warning[0]
    assert re.search(r"the squared gradient changes by a factor e\^6 over \d+ layers", warning[1])
    assert warning[2] == "  remedy: init=critical, sigma_w^2 = 2.00"
