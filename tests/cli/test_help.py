"""--help and --cfg list everything, and load neither torch nor lightning."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import environment, tree
from gradpath.config.composition import CONF
from gradpath.config.schema import GROUPS

WITHOUT_TORCH = Path(__file__).parent / "without_torch"


def show(project: Path, *arguments: str) -> str:
    bare = environment(project) | {"PYTHONPATH": f"{WITHOUT_TORCH}{os.pathsep}{project / 'src'}"}
    done = subprocess.run(
        [sys.executable, "train.py", *arguments], cwd=project, env=bare, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_help_lists_every_group_and_option(project: Path) -> None:
    before = tree(project)
    text = show(project, "--help")
    for group in [*GROUPS, "experiment"]:
        line = next(line for line in text.splitlines() if line.startswith(f"{group}: "))
        for option in (CONF / group).glob("*.yaml"):
            assert option.stem in line.replace(",", " ").split()
    assert "hydra/" not in text.split("Groups and their options")[1].split("composed configuration")[0]
    assert tree(project) == before


@pytest.mark.parametrize("option", ["job", "all"])
def test_cfg(project: Path, option: str) -> None:
    text = show(project, "--cfg", option, "activation=gelu", "optimizer.lr=0.5")
    assert "torch.nn.GELU" in text
    assert "lr: 0.5" in text


@pytest.mark.parametrize(
    "typed", ["train.py --help", "scripts/study.py", "scripts/tour.py --list", "scripts/by_hand.py chain"]
)
def test_a_reader_that_has_read_enough(project: Path, typed: str) -> None:
    """`| head` closes the pipe early. The command prints no traceback and no message, and has the usual exit code, 141."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, *typed.split()],
        cwd=project,
        env=environment(project),
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")
