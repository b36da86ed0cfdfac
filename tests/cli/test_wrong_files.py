"""A file or a folder that a run cannot use: one line says why, and what was there stays as it was."""

import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from commands import PATIENCE, ended, environment, fresh_process, refuse
from conftest import tree

pytestmark = pytest.mark.forked


def test_nothing_to_resume(project: Path, tmp_path: Path) -> None:
    """A fresh clone has no run to resume."""
    for name in ("conf", "src"):
        shutil.copytree(project / name, tmp_path / name)
    shutil.copy(project / "train.py", tmp_path)
    before = tree(tmp_path)
    done = ended(fresh_process("train.py", "resume=last", folder=tmp_path, environment=environment(tmp_path)))
    refuse(done, "error: resume=last: there is no run in")
    assert tree(tmp_path) == before


def test_a_checkpoint_of_another_architecture(command, project: Path) -> None:
    small = ("data=xor", "data.epochs=1", "model.hidden=[8,4]", "trainer.accelerator=cpu")
    assert command("train.py", *small, "hydra.run.dir=logs/runs/one").returncode == 0
    before = {path: path.read_bytes() for path in tree(project) if path.is_file()}
    refused = command("train.py", "resume=logs/runs/one", "activation=tanh")
    assert refused.returncode == 2
    assert "the run to resume has torch.nn.ReLU; only trainer.* keys can change" in refused.stderr
    taken = command("train.py", *small, "hydra.run.dir=logs/runs/one")
    assert taken.returncode == 2
    assert taken.stderr == (
        "error: hydra.run.dir=logs/runs/one: holds a run already; continue it with resume=, or choose another folder.\n"
    )
    done = command("train.py", "resume=logs/runs/one", "model.hidden=[8,5]")
    assert done.returncode == 2
    assert (
        "another architecture, from hidden_02 on: blocks.1.linear.weight is 4 x 8 in the checkpoint and 5 x 8" in done.stderr
    )
    assert done.stderr.count("\n") == 1
    (project / "logs/runs/one/checkpoints/last.ckpt").write_bytes(b"not a checkpoint")
    damaged = command("train.py", "resume=logs/runs/one")
    assert damaged.returncode == 2
    assert "not a readable checkpoint" in damaged.stderr
    (project / "logs/runs/one/checkpoints/last.ckpt").write_bytes(before[project / "logs/runs/one/checkpoints/last.ckpt"])
    assert {path: path.read_bytes() for path in tree(project) if path.is_file()} == before


def test_a_folder_where_nothing_can_be_written(command, project: Path, tmp_path: Path) -> None:
    """One folder would lie below a file. The other would lie in a file system where not even root can make a folder."""
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file/run", Path("/proc/gradpath")):
        done = command("train.py", "data=xor", f"hydra.run.dir={folder}")
        assert done.returncode == 2, done.stderr
        assert "choose another place with hydra.run.dir=FOLDER" in done.stderr
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("typed", ["hydra.run.dir=", "-m seed=0,1 hydra.sweep.dir="])
def test_a_folder_that_has_no_name_in_utf_8(typed: str, before_torch, tmp_path: Path) -> None:
    """TensorBoard would fail when the run has begun."""
    *sweep, key = typed.split()
    done = before_torch("train.py", "data=xor", *sweep, f"{key}'{tmp_path}/\udcff'")
    refuse(done, "\\udcff: the name is not UTF-8, so that TensorBoard cannot write there.")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("script", ["train.py", "scripts/evaluate.py run=last", "scripts/report.py nothing"])
def test_a_current_folder_that_is_gone(script: str, project: Path, tmp_path: Path) -> None:
    typed = f"cd {tmp_path / 'gone'} && rmdir {tmp_path / 'gone'} && {sys.executable} {project}/{script}"
    (tmp_path / "gone").mkdir()
    done = subprocess.run(
        typed, shell=True, env=environment(project), capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    refuse(done, "error: the current folder cannot be used (No such file or directory); cd to another one.")


def test_folders_that_were_there_stay(command, tmp_path: Path) -> None:
    (tmp_path / "mine/empty").mkdir(parents=True)
    done = command("train.py", "data=xor", "loss=cross_entropy", f"hydra.run.dir={tmp_path / 'mine/empty/run'}")
    assert done.returncode == 2
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["empty", "mine"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "activation._target_: missing in the option's file"),
        ("negative_slope: 0.1\n", "activation._target_: missing in the option's file"),
        ("_target_: [:\n", "own.yaml, line 1: not YAML"),
        ("_target_: &a [*a]\n", "activation=own: a group or list contains itself"),
        ('_target_: "torch.\\0"\n', "activation._target_=torch.\\x00: must not contain the character"),
        ("# gr\udcfcn\n_target_: torch.sin\n", "activation=own: its file cannot be read ('utf-8' codec"),
        ("!!set {_target_}\n", "activation=own: its file cannot be read (Invalid loaded object type: set)"),
        ("_target_: torch.sin\n~: 1\n", "activation=own: its file cannot be read (Incompatible key type"),
    ],
)
def test_a_malformed_option_file(command, tmp_path: Path, project: Path, content: str, message: str) -> None:
    (tmp_path / "activation").mkdir()
    (tmp_path / "activation/own.yaml").write_bytes(content.encode(errors="surrogateescape"))
    before = tree(project)
    done = command("train.py", "--config-dir", str(tmp_path), "activation=own")
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert tree(project) == before


@pytest.mark.parametrize("content", ["", "[:", "seed: 1"])
def test_damaged_overrides(command, tmp_path: Path, content: str) -> None:
    (tmp_path / "overrides.yaml").write_text(content)
    done = command("train.py", f"resume={tmp_path}")
    assert done.returncode == 2
    assert "overrides.yaml: damaged" in done.stderr


def test_a_full_disk(project: Path, tmp_path: Path) -> None:
    """The operating system refuses to let any file grow past 4 KiB."""
    process = fresh_process(
        "train.py", "data=xor", "data.epochs=1", "trainer.accelerator=cpu", f"hydra.run.dir={tmp_path / 'run'}",
        folder=project, environment=environment(project),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
    )  # fmt: skip
    done = ended(process)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1, done.stderr
    assert not list(tmp_path.rglob(".*.[0-9]*"))
