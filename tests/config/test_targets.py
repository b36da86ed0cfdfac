"""What `_target_` may name."""

import os

import pytest
from torch import nn

from gradpath.config import targets
from gradpath.config.renamed_targets import with_current_targets
from gradpath.errors import ConfigError

ALLOWED = ["torch.", "torchmetrics.", "gradpath."]


def test_keys_are_bound() -> None:
    assert (
        targets.resolve("activation", {"_target_": "torch.nn.LeakyReLU", "negative_slope": 0.3}, ALLOWED)().negative_slope
        == 0.3
    )


@pytest.mark.parametrize(
    "name", ["torch.os.system", "torch.sys.exit", "gradpath.run.build.Path", "torch.nn.functional.warnings.warn"]
)
def test_what_a_module_merely_imports_is_no_target(name: str) -> None:
    assert os.system
    with pytest.raises(ConfigError, match="not a class or function of"):
        targets.resolve("activation", {"_target_": name}, ALLOWED)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("torch.nn.ReLUU", "torch.nn has no ReLUU"),
        ("torch.nnn.ReLU", "torch has no nnn"),
        ("gradpath.nothing.f", "gradpath has no nothing"),
        ("torch.nn", "not a class or function"),
        ("torch.pi", "not a class or function"),
    ],
)
def test_names_that_do_not_exist(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        targets.resolve("activation", {"_target_": name}, ALLOWED)


def test_a_function_of_a_file_is_not_called_with_the_configuration() -> None:
    """An activation function is called with tensors only, so torch.load in its place opens no file of a user's choice."""
    with pytest.raises(ConfigError, match="'Tensor' object has no attribute 'seek'"):
        targets.activation({"_target_": "torch.load", "weights_only": False}, ALLOWED)


def test_wrong_keys_and_wrong_kinds() -> None:
    with pytest.raises(ConfigError, match="slope"):
        targets.activation({"_target_": "torch.nn.ReLU", "slope": 1}, ALLOWED)
    build = targets.resolve("loss", {"_target_": "torch.Tensor"}, ALLOWED)
    with pytest.raises(ConfigError, match="must give a Module"):
        targets.make("loss", nn.Module, build)


def test_names_of_before_the_rooms_were_redrawn() -> None:
    """A user's own option file and a saved run may still have the old names."""
    old, new = "gradpath.initialization.he_normal", "gradpath.model.initialization.he_normal"
    assert (
        targets.resolve("init", {"_target_": old}, ALLOWED).func is targets.resolve("init", {"_target_": new}, ALLOWED).func
    )
    saved = {"init": {"_target_": old, "gain": "auto"}, "norm": {"layer": None}, "seed": 0}
    assert with_current_targets(saved) == {"init": {"_target_": new, "gain": "auto"}, "norm": {"layer": None}, "seed": 0}
