"""What all tests share: one thread per worker, runs in this process, and commands in a copy of the project."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# Two workers share two cores. The variable has to be set before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from omegaconf import OmegaConf

from commands import HEAVY, LIGHT, Forked, ForkServer, ended, environment, fresh_process
from gradpath.config.checks import PROJECT
from gradpath.config.composition import CONF, compose
from gradpath.data.gaussian import gaussian
from gradpath.model.network import MLP
from gradpath.run.build import build_network
from gradpath.run.train import run
from sweeping import TINY

ACTIVATIONS = sorted(path.stem for path in (CONF / "activation").glob("*.yaml"))
NORMS = sorted(path.stem for path in (CONF / "norm").glob("*.yaml"))

# Each takes half a minute or more. They start first.
LONGEST = (
    "test_trainings_at_size", "test_a_picture_on_a_page", "test_killed_before_changes", "test_two_processes_equal_one",
    "test_promises", "test_an_ended_map_goes_on", "test_a_killed_study_goes_on", "test_ray_nodes", "[slurm]",
    "test_two_real_runs", "test_c16",
)  # fmt: skip
WITHOUT_TORCH = Path(__file__).parent / "cli/without_torch"

# Whether commands are started as fresh interpreters.
FRESH = pytest.StashKey[bool]()

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "Forked | subprocess.Popen[str]"]
Run = Callable[..., tuple[dict[str, Any], Path]]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fresh", action="store_true", help="start every command as a fresh interpreter, as a user does")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Decides how the test's commands are started, before its fixtures start any."""
    item.config.stash[FRESH] = item.config.getoption("--fresh") and item.get_closest_marker("forked") is None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the longest tests first, so that no worker is left alone with them at the end.

    Each worker begins with an equal part of the list, so they are dealt out to the beginnings of these parts. What is not
    run has been taken off the list before.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    longest = sorted(
        (item for item in items if any(name in item.nodeid for name in LONGEST)),
        key=lambda item: [name in item.nodeid for name in LONGEST].index(True),
    )
    others = [item for item in items if item not in longest]
    ordered: list[pytest.Item] = []
    for worker in range(workers):
        first = longest[worker::workers]
        taken = max(0, len(items) * (worker + 1) // workers - len(ordered) - len(first))
        ordered += [*first, *others[:taken]]
        others = others[taken:]
    items[:] = ordered


@pytest.fixture
def run_here(tmp_path: Path) -> Run:
    """`run_here("activation=gelu", ...)` trains a run in this process, and returns its result and its folder."""

    def call(*overrides: str, folder: str = "run") -> tuple[dict[str, Any], Path]:
        config, choices = compose(*overrides)
        return run(config, choices, tmp_path / folder, list(overrides)), tmp_path / folder

    return call


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project. Its logs/ belong to this worker alone."""
    copy = tmp_path_factory.mktemp("project")
    for name in ("conf", "src", "scripts"):
        shutil.copytree(PROJECT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "train.py", copy)
    (copy / "logs").mkdir()
    archives = copy / "data/MNIST/raw"
    archives.mkdir(parents=True)
    for archive in (PROJECT / "data/MNIST/raw").glob("*.gz"):
        shutil.copy(archive, archives)
    return copy


@pytest.fixture(scope="session")
def start(project: Path, pytestconfig: pytest.Config) -> Iterator[Start]:
    """`start("train.py", "seed=1")` starts a script of the copy as a user would.

    It returns a process with pid, poll, wait, send_signal and communicate. The process is forked from one that has imported
    torch; with `fresh=True`, or `pytest --fresh` unless `fresh=False` or the test is marked as forked, it is a new
    interpreter. `stdout` and `stderr` are descriptors to write to instead of the files that `communicate` reads.
    `variables` are added to the environment.
    """
    server = ForkServer(environment(project), HEAVY)

    def call(
        *arguments: str, fresh: bool | None = None, stdout: int | None = None, stderr: int | None = None, **variables: str
    ) -> "Forked | subprocess.Popen[str]":
        if pytestconfig.stash[FRESH] if fresh is None else fresh:
            options = {name: to for name, to in (("stdout", stdout), ("stderr", stderr)) if to is not None}
            return fresh_process(*arguments, folder=project, environment=environment(project) | variables, **options)
        return server.start(arguments, project, stdout, variables, stderr)

    yield call
    server.close()


@pytest.fixture(scope="session")
def command(start: Start) -> Command:
    """`command("train.py", "seed=1")` runs a script of the copy and returns what it printed. `fresh` is as for `start`."""

    def call(*arguments: str, fresh: bool | None = None, **variables: str) -> "subprocess.CompletedProcess[str]":
        return ended(start(*arguments, fresh=fresh, **variables))

    return call


@pytest.fixture
def begin(start: Start, tmp_path: Path) -> Start:
    """`begin("seed=0,1")` starts a sweep of tiny runs in tmp_path/sweep, two at a time. Options are as for `start`."""

    def call(*typed: str, folder: Path = tmp_path / "sweep", **options: Any) -> "Forked | subprocess.Popen[str]":
        places = () if any(text.startswith("hydra/launcher") for text in typed) else ("hydra.launcher.jobs=2",)
        return start("train.py", "-m", *TINY, *places, *typed, f"hydra.sweep.dir={folder}", **options)

    return call


@pytest.fixture
def sweep(begin: Start) -> Command:
    """`sweep("seed=0,1")` makes such a sweep and returns what it printed."""

    def call(*typed: str, **options: Any) -> "subprocess.CompletedProcess[str]":
        return ended(begin(*typed, **options))

    return call


@pytest.fixture(scope="session")
def before_torch(project: Path, pytestconfig: pytest.Config) -> Iterator[Command]:
    """The same as `command`, but importing torch or lightning ends the script: stand-ins for them raise ImportError."""
    server = ForkServer(environment(project, WITHOUT_TORCH), LIGHT)

    def call(*arguments: str, fresh: bool = False) -> "subprocess.CompletedProcess[str]":
        if fresh or pytestconfig.stash[FRESH]:
            return ended(fresh_process(*arguments, folder=project, environment=server.environment))
        return ended(server.start(arguments, project))

    yield call
    server.close()


def weights(folder: Path, name: str = "last") -> dict[str, torch.Tensor]:
    """The state_dict of a run's checkpoint."""
    checkpoint = torch.load(folder / f"checkpoints/{name}.ckpt", weights_only=True)
    state: dict[str, torch.Tensor] = checkpoint["state_dict"]
    return state


def finished(study: Path) -> dict[str, int]:
    """The runs of a study that are complete: name -> when its result was written."""
    return {mark.parent.name: (mark.parent / "result.json").stat().st_mtime_ns for mark in study.glob("*/made_by")}


def tree(folder: Path) -> set[Path]:
    """Every file and folder below `folder`, without bytecode and data."""
    return {path for path in folder.rglob("*") if "__pycache__" not in path.parts and "data" not in path.parts}


def network_of(activation: str, norm: str, hidden: list[int]) -> MLP:
    """A network of 5 inputs and 3 classes, built from the files of the options `activation` and `norm`."""
    data = gaussian(samples=100, features=5, classes=3, data_seed=0, batch_size=10)
    nodes = [
        OmegaConf.to_container(OmegaConf.load(CONF / f"{name}.yaml"))
        for name in (f"activation/{activation}", f"norm/{norm}")
    ]
    return build_network({"hidden": hidden, "output": "none"}, *nodes, data)
