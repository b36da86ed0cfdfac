"""A mistake in a user's own code is found before the first job of a sweep starts."""

import os
from pathlib import Path

import pytest

from conftest import Command
from lab import make_lab

pytestmark = pytest.mark.forked

# What is written over the code of the user's activation, or into its option, and what is said of it.
MISTAKES = {
    "syntax": ("def broken(:\n", "mylab.fragile cannot be imported: SyntaxError: invalid syntax (fragile.py, line 1)."),
    "import": (
        "from math import pie\n",
        "mylab.fragile cannot be imported: ImportError: cannot import name 'pie' from 'math'",
    ),
    "module": ("import nowhere_to_be_found\n", "mylab.fragile needs nowhere_to_be_found."),
    "raise": ("1 / 0\n", "mylab.fragile cannot be imported: ZeroDivisionError: division by zero."),
    "exit": ("import sys\nsys.exit(76)\n", "mylab.fragile cannot be imported: its code called sys.exit(76)."),
    "leave": ("import os\nos._exit(76)\n", "its code ended the process that imported it, with exit code 76."),
    "name": ("class Fragil: pass\n", "mylab.fragile has no Fragile. Did you mean Fragil?"),
    "kind": ("Fragile = 3\n", "must be a module of torch.nn, or a function of torch on tensors."),
    "shape": ("def Fragile(x):\n    print('x' * 99)\n    return x.sum()\n", "it must be element-wise."),
}


def own(place: Path, project: Path, code: str) -> tuple[list[str], dict[str, str]]:
    """What is typed, and set in the environment, for an activation with this code."""
    variables = make_lab(place, {})
    variables["PYTHONPATH"] = os.pathsep.join([str(project / "src"), str(place)])
    (place / "mylab/fragile.py").write_text(code)
    return ["--config-dir", str(place / "options"), "activation=relu,fragile", "seed=0,1"], variables


@pytest.mark.parametrize("how", MISTAKES)
def test_a_mistake_is_one_line(how: str, sweep: Command, project: Path, tmp_path: Path) -> None:
    code, said = MISTAKES[how]
    typed, variables = own(tmp_path, project, code)
    done = sweep(*typed, **variables)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stdout + done.stderr
    assert done.stderr.startswith("error: activation")
    assert said in done.stderr
    assert not (tmp_path / "sweep").exists()


@pytest.mark.parametrize(
    "more", [[], ["hydra/launcher=basic"], ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=2"]], ids=str
)
def test_whatever_runs_the_jobs(more: list[str], sweep: Command, project: Path, tmp_path: Path) -> None:
    typed, variables = own(tmp_path, project, MISTAKES["syntax"][0])
    done = sweep(*typed, *more, fresh=True, **variables)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stdout + done.stderr
    assert MISTAKES["syntax"][1] in done.stderr
    assert not (tmp_path / "sweep").exists()


def test_a_name_that_torch_has_not(sweep: Command, tmp_path: Path) -> None:
    option = tmp_path / "options/optimizer/own.yaml"
    option.parent.mkdir(parents=True)
    option.write_text("_target_: torch.optim.Adammax\nlr: 0.1\n")
    done = sweep("--config-dir", str(tmp_path / "options"), "optimizer=adam,own")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stdout + done.stderr
    assert "optimizer._target_=torch.optim.Adammax: torch.optim has no Adammax. Did you mean Adamax?" in done.stderr
    assert not (tmp_path / "sweep").exists()


def test_a_complete_sweep_asks_for_nothing(sweep: Command, project: Path, tmp_path: Path) -> None:
    """Each import of the code adds a letter to a file."""
    counting = "from pathlib import Path\nwith Path(__file__).with_name('seen').open('a') as file:\n    file.write('x')\n"
    typed, variables = own(tmp_path, project, counting + "def Fragile(x):\n    return x.tanh()\n")
    assert sweep(*typed, **variables).returncode == 0
    seen = (tmp_path / "mylab/seen").read_text()
    assert "0 to run" in sweep(*typed, **variables).stdout
    assert (tmp_path / "mylab/seen").read_text() == seen
