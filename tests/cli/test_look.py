"""`scripts/probe.py`: step 0 without training."""

import json
from pathlib import Path

import numpy as np
import pytest

from conftest import tree


def test_a_look_at_one_network(command, project: Path) -> None:
    done = command("scripts/probe.py", "activation=sigmoid", "init=xavier_normal", "model=deep", "model.depth=12",
                   "hydra.run.dir=logs/probes/one")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "gradient at the start: vanishing" in done.stdout
    assert "cause, remedy: activation: try activation=relu init=he_normal" in done.stdout
    folder = project / "logs/probes/one"
    assert {path.name for path in folder.iterdir()} == {"config.yaml", "flow.npz", "result.json"}
    result = json.loads((folder / "result.json").read_text())
    assert (result["status"], result["verdict"]["class"], len(result["profile"])) == ("ok", "vanishing", 13)
    assert result["metrics"] == {}
    flow = np.load(folder / "flow.npz")
    assert flow["delta"].tolist() == [[row["delta"] for row in result["profile"]]]
    assert json.loads(str(flow["verdict"]))["class"] == "vanishing"
    # What a run begins with is what the look says.
    trained = command("train.py", "activation=sigmoid", "init=xavier_normal", "model=deep", "model.depth=12",
                      "data.limit=640", "trainer.max_epochs=1", "hydra.run.dir=logs/runs/after_the_look")  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    begun = json.loads((project / "logs/runs/after_the_look/result.json").read_text())
    assert begun["profile"] == result["profile"]
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
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    assert lines[0].split()[0] == "vanishing"
    assert [line.split()[0] for line in lines[1:]] == ["healthy"] * 3
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
