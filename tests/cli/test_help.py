"""--help and --cfg list everything, and load neither torch nor lightning."""

import os
from pathlib import Path

import pytest

from conftest import tree
from gradpath.config.launch import CONF
from gradpath.config.schema import GROUPS


def test_help_lists_every_group_and_option(before_torch, project: Path) -> None:
    before = tree(project)
    text = before_torch("train.py", "--help").stdout
    for group in [*GROUPS, "experiment"]:
        line = next(line for line in text.splitlines() if line.startswith(f"{group}: "))
        for option in (CONF / group).glob("*.yaml"):
            assert option.stem in line.replace(",", " ").split()
    assert "hydra/" not in text.split("Groups and their options")[1].split("composed configuration")[0]
    assert tree(project) == before


@pytest.mark.parametrize("option", ["job", "all"])
def test_cfg(before_torch, option: str) -> None:
    text = before_torch("train.py", "--cfg", option, "activation=gelu", "optimizer.lr=0.5").stdout
    assert "torch.nn.GELU" in text
    assert "lr: 0.5" in text


@pytest.mark.parametrize(
    "typed", ["train.py --help", "scripts/study.py", "scripts/tour.py --list", "scripts/by_hand.py chain"]
)
def test_a_reader_that_has_read_enough(start, typed: str) -> None:
    """As `| head` does: no traceback, no word, the exit code of other commands."""
    read, write = os.pipe()
    os.close(read)
    process = start(*typed.split(), stdout=write)
    os.close(write)
    _, error = process.communicate()
    assert (process.returncode, error) == (141, "")
