"""What `_target_` may name, and that nothing else is called."""

from pathlib import Path

import pytest
from torch import nn

from gradpath.config import targets
from gradpath.config.renamed_targets import with_current_targets
from gradpath.config.target_names import PLACES
from gradpath.errors import ConfigError

# (target, keys): each would run a program, open a file or load code, if a prefix such as `torch.` were the only rule.
PROGRAMS = [
    ("torch.os.system", {}),
    ("torch.sys.exit", {}),
    ("torch.utils.collect_env.run", {"command": "touch {proof}"}),
    ("torch.hub.load", {"repo_or_dir": "{folder}", "model": "attack", "source": "local"}),
    ("torch.hub.download_url_to_file", {"dst": "{proof}"}),
    ("torch.load", {"f": "{pickle}", "weights_only": False}),
    ("torch.save", {"f": "{proof}"}),
    ("torch.from_file", {"filename": "{proof}", "shared": True, "size": 1}),
    ("torch.jit.load", {"f": "{pickle}"}),
    ("torch.jit.save", {"f": "{proof}"}),
    ("torch.export.load", {"f": "{pickle}"}),
    ("torch.classes.load_library", {"path": "{pickle}"}),
    ("torch.ops.load_library", {"path": "{pickle}"}),
    ("torch.utils.cpp_extension.load_inline", {"name": "a", "cpp_sources": "int a;"}),
    ("torch.utils.model_zoo.load_url", {"url": "file://{pickle}"}),
    ("torch.package.PackageImporter", {"file_or_buffer": "{pickle}"}),
    ("torch.multiprocessing.spawn", {}),
    ("torch.distributed.run.run", {}),
    ("torch.nn.functional.warnings.sys.exit", {}),
    ("torch.nn.Module.__init__.__globals__", {}),
    ("torch.nn.ReLU.__class__", {}),
    ("torch.testing._internal.common_utils.shell", {"command": "touch {proof}"}),
    ("torch.utils.data.DataLoader", {}),
    ("gradpath.run.build.Path", {}),
    ("gradpath.data.images.Path", {}),
    ("gradpath.files.write_text", {"path": "{proof}", "text": ""}),
    ("attack.run", {}),
    ("os.system", {"command": "touch {proof}"}),
    ("subprocess.run", {"args": "touch {proof}", "shell": True}),
    ("builtins.eval", {}),
]


@pytest.mark.parametrize("group", PLACES)
@pytest.mark.parametrize(("name", "keys"), PROGRAMS, ids=[name for name, _ in PROGRAMS])
def test_no_target_runs_a_program(
    group: str, name: str, keys: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proof, pickle = tmp_path / "proof", tmp_path / "pickle"
    # An instruction of pickle's language: os.system("touch proof").
    pickle.write_bytes(b"cos\nsystem\n(S'touch " + str(proof).encode() + b"'\ntR.")
    for module in ("attack.py", "hubconf.py"):
        (tmp_path / module).write_text(f"open({str(proof)!r}, 'w')\ndef run(*a): ...\nattack = run\n")
    monkeypatch.syspath_prepend(tmp_path)
    places = {"proof": str(proof), "pickle": str(pickle), "folder": str(tmp_path)}
    node = {key: value.format(**places) if isinstance(value, str) else value for key, value in keys.items()}
    with pytest.raises(ConfigError, match=f"{group}._target_={name}: (must be|.* has no )"):
        targets.resolve(group, {"_target_": name, **node})
    assert not proof.exists()


@pytest.mark.parametrize(
    "name",
    [
        "torch.erf",
        "torch.sin",
        "torch.nn.functional.silu",
        "torch.nn.functional.softplus",
        "torch.special.erf",
        "torch.tanh",
    ],
)
def test_functions_on_tensors(name: str) -> None:
    assert isinstance(targets.activation({"_target_": name})(), nn.Module)


@pytest.mark.parametrize(
    ("group", "name"),
    [
        ("activation", "torch.nn.ReLU"),
        ("activation", "torch.nn.modules.activation.GELU"),
        ("optimizer", "torch.optim.Adamax"),
        ("optimizer", "gradpath.model.optimizers.Muon"),
        ("schedule", "torch.optim.lr_scheduler.ExponentialLR"),
        ("schedule", "gradpath.model.schedules.cosine"),
        ("norm.layer", "torch.nn.LayerNorm"),
        ("loss", "torch.nn.SmoothL1Loss"),
        ("init", "gradpath.model.initialization.he_normal"),
        ("data", "gradpath.data.xor.xor"),
    ],
)
def test_what_belongs_there(group: str, name: str) -> None:
    assert targets.resolve(group, {"_target_": name}).func.__name__ == name.rsplit(".", 1)[1]  # type: ignore[attr-defined]


def test_a_package_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mylab.py").write_text("from os import system\ndef swish(x):\n    return x * x.sigmoid()\n")
    monkeypatch.syspath_prepend(tmp_path)
    node = {"_target_": "mylab.swish"}
    with pytest.raises(ConfigError, match="must be a module of"):
        targets.activation(node)
    monkeypatch.setenv("GRADPATH_PACKAGES", "other, mylab")
    assert isinstance(targets.activation(node)(), nn.Module)
    # What it merely imports is not its own.
    with pytest.raises(ConfigError, match="must be"):
        targets.activation({"_target_": "mylab.system"})
    monkeypatch.setenv("GRADPATH_PACKAGES", "my-lab")
    with pytest.raises(ConfigError, match="GRADPATH_PACKAGES=my-lab: must be names of packages"):
        targets.activation(node)


def test_keys_are_bound() -> None:
    node = {"_target_": "torch.nn.LeakyReLU", "negative_slope": 0.3}
    assert targets.resolve("activation", node)().negative_slope == 0.3


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("torch.nn.ReLUU", "torch.nn has no ReLUU"),
        ("torch.nnn.ReLU", "torch has no nnn"),
        ("torch.nn", "must be a module of torch.nn"),
        ("torch.pi", "must be a module of torch.nn"),
    ],
)
def test_names_that_do_not_exist(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        targets.resolve("activation", {"_target_": name})


def test_wrong_keys_and_wrong_kinds() -> None:
    with pytest.raises(ConfigError, match="slope"):
        targets.activation({"_target_": "torch.nn.ReLU", "slope": 1})
    build = targets.resolve("schedule", {"_target_": "gradpath.model.schedules.cosine"})
    with pytest.raises(ConfigError, match="schedule"):
        targets.make("schedule", nn.Module, build)


def test_names_of_before_the_rooms_were_redrawn() -> None:
    """A user's own option file and a saved run may still have the old names."""
    old, new = "gradpath.initialization.he_normal", "gradpath.model.initialization.he_normal"
    found = [targets.resolve("init", {"_target_": name}).func for name in (old, new)]  # type: ignore[attr-defined]
    assert found[0] is found[1]
    saved = {"init": {"_target_": old, "gain": "auto"}, "norm": {"layer": None}, "seed": 0}
    assert with_current_targets(saved) == {"init": {"_target_": new, "gain": "auto"}, "norm": {"layer": None}, "seed": 0}
