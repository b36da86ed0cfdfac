"""Which targets are ours."""

import subprocess

import pytest
from omegaconf import OmegaConf

from gradpath.config.checks import PROJECT, is_ours
from gradpath.config.shipped import TARGETS


@pytest.mark.parametrize("group", TARGETS)
def test_they_are_those_of_the_files_that_we_ship(group: str) -> None:
    """A user's own files beside them are not in the repository."""
    listed = subprocess.run(
        ["git", "ls-files", f"conf/{group}/*.yaml"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    found = set()
    for name in listed.stdout.split():
        node = OmegaConf.load(PROJECT / name)
        inner = node.get("layer") if group == "norm" else node
        found |= {inner._target_} if inner and inner.get("_target_") else set()
    if listed.returncode or not found:
        pytest.skip("not in a repository")
    assert found == TARGETS[group]


def test_whose_a_target_is() -> None:
    assert is_ours("optimizer", {"_target_": "torch.optim.SGD", "lr": 0.1})
    assert not is_ours("optimizer", {"_target_": "torch.optim.SGD", "lr": 0.1, "maximize": True})
    assert not is_ours("optimizer", {"_target_": "torch.optim.Adadelta", "lr": 0.1})
    assert not is_ours("activation", {"_target_": "mylab.Snake"})
    assert is_ours("norm", {"placement": "none", "layer": None})
