"""A mistake in a user's own code is found before the first job of a sweep starts."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from board import wait_until
from conftest import Command, Start

pytestmark = pytest.mark.forked

Own = Callable[[str], list[str]]
TRUSTED = {"GRADPATH_PACKAGES": "ownlab"}

# What is written over the code of the user's activation, or into its option, and what is said of it.
MISTAKES = {
    "syntax": ("def broken(:\n", "ownlab.fragile cannot be imported: SyntaxError: invalid syntax (fragile.py, line 1)."),
    "import": (
        "from math import pie\n",
        "ownlab.fragile cannot be imported: ImportError: cannot import name 'pie' from 'math'",
    ),
    "module": ("import nowhere_to_be_found\n", "ownlab.fragile needs nowhere_to_be_found."),
    "raise": ("1 / 0\n", "ownlab.fragile cannot be imported: ZeroDivisionError: division by zero."),
    "exit": ("import sys\nsys.exit(76)\n", "ownlab.fragile cannot be imported: its code called sys.exit(76)."),
    "leave": ("import os\nos._exit(76)\n", "its code ended the process that imported it, with exit code 76."),
    "name": ("class Fragil: pass\n", "ownlab.fragile has no Fragile. Did you mean Fragil?"),
    "kind": ("Fragile = 3\n", "must be a module of torch.nn, or a function of torch on tensors."),
    "shape": ("def Fragile(x):\n    print('x' * 99)\n    return x.sum()\n", "it must be element-wise."),
}


@pytest.fixture
def own(project: Path, tmp_path: Path) -> Iterator[Callable[[str], list[str]]]:
    """Writes a package with this code beside train.py. Returns what is typed for its activation."""
    package = project / "ownlab"

    def write(code: str) -> list[str]:
        package.mkdir()
        (package / "fragile.py").write_text(code)
        option = tmp_path / "options/activation/fragile.yaml"
        option.parent.mkdir(parents=True)
        option.write_text("_target_: ownlab.fragile.Fragile\n")
        return ["--config-dir", str(tmp_path / "options"), "activation=relu,fragile", "seed=0,1"]

    yield write
    shutil.rmtree(package)


@pytest.mark.parametrize("how", MISTAKES)
def test_a_mistake_is_one_line(how: str, own: Own, sweep: Command, tmp_path: Path) -> None:
    code, said = MISTAKES[how]
    done = sweep(*own(code), **TRUSTED)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stdout + done.stderr
    assert done.stderr.startswith("error: activation")
    assert said in done.stderr
    assert not (tmp_path / "sweep").exists()


@pytest.mark.parametrize(
    "more", [[], ["hydra/launcher=basic"], ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=2"]], ids=str
)
def test_whatever_runs_the_jobs(more: list[str], own: Own, sweep: Command, tmp_path: Path) -> None:
    done = sweep(*own(MISTAKES["syntax"][0]), *more, fresh=not more, **TRUSTED)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stdout + done.stderr
    assert MISTAKES["syntax"][1] in done.stderr
    assert not (tmp_path / "sweep").exists()


BESIDE = {
    "activation": "ownlab.fragile.Nothing", "init": "ownlab.fragile.Nothing",
    "loss": "torch.nn.Foo", "optimizer": "ownlab.nowhere.Adam", "schedule": "ownlab.fragile.Nothing",
}  # fmt: skip


@pytest.mark.parametrize("group", BESIDE)
def test_an_option_file_beside_ours_is_a_users_all_the_same(
    group: str, own: Own, sweep: Command, command: Command, project: Path, tmp_path: Path
) -> None:
    """The README says to put it into conf/. What it names is tried, though it has no key of its own."""
    own("def Fragile(x):\n    return x.tanh()\n")
    option = project / f"conf/{group}/beside.yaml"
    option.write_text(f"_target_: {BESIDE[group]}\n")
    try:
        for done in (
            sweep(f"{group}=beside", "seed=0,1", **TRUSTED),
            command("train.py", f"{group}=beside", f"hydra.run.dir={tmp_path / 'run'}", **TRUSTED),
        ):
            assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stdout + done.stderr
            assert BESIDE[group].rpartition(".")[2] in done.stderr or "nowhere" in done.stderr
    finally:
        option.unlink()
    assert not (tmp_path / "sweep").exists()
    assert not (tmp_path / "run").exists()


def test_a_name_that_torch_has_not(sweep: Command, tmp_path: Path) -> None:
    option = tmp_path / "options/optimizer/own.yaml"
    option.parent.mkdir(parents=True)
    option.write_text("_target_: torch.optim.Adammax\nlr: 0.1\n")
    done = sweep("--config-dir", str(tmp_path / "options"), "optimizer=adam,own")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stdout + done.stderr
    assert "optimizer._target_=torch.optim.Adammax: torch.optim has no Adammax. Did you mean Adamax?" in done.stderr
    assert not (tmp_path / "sweep").exists()


@pytest.mark.parametrize("dry", [[], ["sweep.dry_run=true"]], ids=["run", "dry"])
@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (
            "trainer.limit_val_batches=1.0,0.001",
            "trainer.limit_val_batches=0.001: less than one of 1 batches; write a count",
        ),
        ("trainer.devices=1,500 data.batch_size=500", "trainer.devices=500: more processes than this machine's"),
        ("trainer.devices=1,-1", "trainer.devices=-1: all GPUs, but this run is on the CPU; write a number of processes"),
    ],
)
def test_what_only_a_trial_tells(typed: str, said: str, dry: list[str], sweep: Command, tmp_path: Path) -> None:
    done = sweep("trainer.accelerator=cpu", *typed.split(), *dry)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stdout + done.stderr
    assert said in done.stderr
    assert not (tmp_path / "sweep").exists()


# Of data that count how often they are built.
DATA = """from pathlib import Path

import torch

from gradpath.data.memory import MemoryDataModule, MemoryDataset


def Fragile(batch_size: int, steps_per_epoch: int, seed: int) -> MemoryDataModule:
    with Path(__file__).with_name('seen').open('a') as file:
        file.write('x')
    inputs = torch.arange(8.0).reshape(4, 2)
    parts = [MemoryDataset(inputs, torch.tensor([0, 1, 0, 1])) for _ in range(3)]
    return MemoryDataModule(*parts, task='binary', outputs=1, batch_size=batch_size, seed=seed)
"""


def test_data_of_ones_own_are_built_once(own: Own, sweep: Command, project: Path, tmp_path: Path) -> None:
    """A loss that does not fit them is found before the first job starts."""
    own(DATA)
    option = tmp_path / "options/data/fragile.yaml"
    option.parent.mkdir(parents=True)
    option.write_text("_target_: ownlab.fragile.Fragile\nbatch_size: 4\nsteps_per_epoch: 1\nepochs: 1\n")
    typed = ["--config-dir", str(tmp_path / "options"), "data=fragile", "seed=0,1,2"]
    done = sweep(*typed, "loss=auto,huber", **TRUSTED)
    assert (done.returncode, done.stdout) == (2, ""), done.stdout + done.stderr
    assert done.stderr.startswith("error: loss=huber: for regression data, but this data is binary;")
    assert not (tmp_path / "sweep").exists()
    assert (project / "ownlab/seen").read_text() == "x"


def test_a_complete_sweep_asks_for_nothing(own: Own, sweep: Command, project: Path) -> None:
    """Each import of the code adds a letter to a file."""
    counting = "from pathlib import Path\nwith Path(__file__).with_name('seen').open('a') as file:\n    file.write('x')\n"
    typed = own(counting + "def Fragile(x):\n    return x.tanh()\n")
    assert sweep(*typed, **TRUSTED).returncode == 0
    seen = (project / "ownlab/seen").read_text()
    assert "0 to run" in sweep(*typed, **TRUSTED).stdout
    assert (project / "ownlab/seen").read_text() == seen


def test_what_is_said_to_go_on_is_typed_in_a_new_shell(own: Own, begin: Start, project: Path, tmp_path: Path) -> None:
    """It does not know whom the user trusts."""
    process = begin(*own("import torch\ndef Fragile(x):\n    return torch.tanh(x)\n"), "trainer.max_epochs=400", **TRUSTED)
    folder = tmp_path / "sweep"
    wait_until(lambda: [*folder.glob("*/checkpoints/last.ckpt")])
    process.send_signal(signal.SIGINT)
    said = process.communicate()[1].strip().splitlines()[-1].removeprefix("stopped; to continue: ")
    begins = f"GRADPATH_PACKAGES=ownlab PYTHONPATH={project / 'src'} python "
    assert said.startswith(begins)
    # A job that was stopped says in its log how it goes on alone.
    alone = [line for log in folder.glob("*/job.log") for line in log.read_text().split("to continue: ")[1:]]
    assert alone
    assert all(line.startswith(begins) for line in alone)
    shell = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    command = f"{said} sweep.dry_run=true"
    done = subprocess.run(["sh", "-c", command], cwd=project, env=shell, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "4 jobs: 4 to run"
