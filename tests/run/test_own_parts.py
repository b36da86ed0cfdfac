"""A user's own option files: each one trains a tiny run, or is refused in one line and nothing is written."""

import json
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.modules import batchnorm, instancenorm, loss, normalization
from torch.optim import lr_scheduler

from gradpath.config.composition import config_loader
from gradpath.config.grammar import parse
from gradpath.config.overrides import check_job
from gradpath.errors import ConfigError, RunFailed
from gradpath.run.build import build_run, planned_steps
from gradpath.run.train import run
from gradpath.run.trial import try_step

TINY = (
    "data=xor", "data.epochs=1", "trainer.limit_train_batches=3", "model=two_layer", "model.hidden=[4]", "trainer=cpu",
    "probe=none",
)  # fmt: skip
# Torch warns of some arguments.
pytestmark = pytest.mark.filterwarnings("ignore")


def composed(folder: Path, group: str, option: str, *overrides: str) -> tuple[dict[str, Any], dict[str, str]]:
    (folder / group).mkdir(parents=True)
    (folder / group / "own.yaml").write_text(option)
    with config_loader(str(folder)) as loader:
        job = check_job(loader, parse([*TINY, f"{group}=own", *overrides]))
    return job.config, job.choices


def outcome(folder: Path, group: str, option: str, *overrides: str) -> str:
    """Runs an option file of a user's own. Returns the status, or the one line with which it was refused."""
    try:
        config, choices = composed(folder / "conf", group, option, *overrides)
        return str(run(config, choices, folder / "run", [])["status"])
    except ConfigError as error:
        said = str(error)
        assert "\n" not in said
        assert group in said
        assert not (folder / "run").exists()
        return said


def option(target: str, **keys: Any) -> str:
    return f"_target_: {target}\n" + "".join(f"{key}: {json.dumps(value)}\n" for key, value in keys.items())


LOSSES = {"BCELoss", "BCEWithLogitsLoss", "HuberLoss", "KLDivLoss", "L1Loss", "MSELoss", "MultiLabelSoftMarginLoss",
          "PoissonNLLLoss", "SmoothL1Loss", "SoftMarginLoss", "HingeEmbeddingLoss"}  # fmt: skip


@pytest.mark.parametrize("name", sorted(loss.__all__))
def test_every_loss_of_torch(name: str, tmp_path: Path) -> None:
    said = outcome(tmp_path, "loss", option(f"torch.nn.{name}"), "model.output=sigmoid" if name == "BCELoss" else "seed=0")
    assert (said in ("ok", "diverged")) == (name in LOSSES), said


NORMS = [*batchnorm.__all__, *instancenorm.__all__, *normalization.__all__, "Dropout", "Linear", "Identity", "Flatten"]
PLACED = {"BatchNorm1d", "SyncBatchNorm", "LayerNorm", "RMSNorm"}


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("placement", ["before", "after"])
def test_every_normalisation_of_torch(name: str, placement: str, tmp_path: Path) -> None:
    keys = {"GroupNorm": "\n  num_groups: 2"}.get(name, "")
    said = outcome(tmp_path, "norm", f"placement: {placement}\nlayer:\n  _target_: torch.nn.{name}{keys}\n")
    assert (said == "ok") == (name in PLACED), said
    assert said == "ok" or "norm" in said.split(":")[0], said


OPTIMISERS = [name for name in sorted(torch.optim.__all__) if name[0].isupper() and name != "Optimizer"]
REFUSED = {"SparseAdam", "Muon"}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_every_optimiser_of_torch(name: str, tmp_path: Path) -> None:
    said = outcome(tmp_path, "optimizer", option(f"torch.optim.{name}"))
    assert (said == "ok") == (name not in REFUSED), said


KEYS: dict[str, dict[str, Any]] = {
    "StepLR": {"step_size": 1}, "MultiStepLR": {"milestones": [1]}, "ExponentialLR": {"gamma": 0.9},
    "CosineAnnealingLR": {"T_max": 3}, "CosineAnnealingWarmRestarts": {"T_0": 2}, "OneCycleLR": {"max_lr": 0.1},
    "CyclicLR": {"base_lr": 0.01, "max_lr": 0.1, "cycle_momentum": False},
}  # fmt: skip
# They take functions or other schedules, which no option file can name.
NEEDY = {"LambdaLR", "MultiplicativeLR", "SequentialLR", "ChainedScheduler", "LRScheduler", "_LRScheduler"}


@pytest.mark.parametrize("name", sorted(lr_scheduler.__all__))
def test_every_schedule_of_torch(name: str, tmp_path: Path) -> None:
    said = outcome(tmp_path, "schedule", option(f"torch.optim.lr_scheduler.{name}", **KEYS.get(name, {})))
    assert (said == "ok") == (name not in NEEDY), said


NN, OPTIM, LR = "torch.nn", "torch.optim", "torch.optim.lr_scheduler"
WRONG = [
    ("loss", option(f"{NN}.MSELoss", reduction="none"), "one real number"),
    ("loss", option(f"{NN}.MSELoss", reduction="foo"), "foo is not a valid value"),
    ("loss", option(f"{NN}.Identity"), "loss=own (torch.nn.Identity): "),
    ("loss", option(f"{NN}.Bilinear", in1_features=1, in2_features=1, out_features=1), "one real number"),
    ("loss", option(f"{NN}.CrossEntropyLoss", label_smoothing=7), "loss=own"),
    ("loss", option(f"{NN}.HuberLoss", delta=0), "loss=own"),
    ("loss", option(f"{NN}.SmoothL1Loss", beta=-1), "loss=own"),
    ("loss", option(f"{NN}.MSELoss", tasks=["regression"]), "loss=own: for regression data, but this data is binary"),
    ("loss", "_target_: null\n", "loss._target_: missing in the option's file"),
    ("loss", "{}\n", "loss._target_: missing in the option's file"),
    ("loss", "_target_: null\ntasks: [regression]\n", "for regression data, but this data is binary"),
    ("activation", option("torch.detach"), "torch.detach cuts the gradient"),
    ("activation", option("torch.zeros_like"), "torch.zeros_like cuts the gradient"),
    ("activation", option("torch.float_power", exponent=2), "makes (3, 4) of float64 from (3, 4) of float32"),
    ("activation", option(f"{NN}.Dropout"), "is random"),
    ("activation", option(f"{NN}.Dropout", p=1), "something else in training"),
    ("activation", option(f"{NN}.RReLU"), "is random"),
    ("activation", option("torch.nn.functional.dropout"), "is random"),
    ("activation", "_target_: 5\n", "=5: must be a module of torch.nn, or a function of torch on tensors."),
    ("activation", "_target_: &a [*a]\n", "activation=own: a group or list contains itself"),
    ("activation", "_target_: torch.sin\nvalue: &b {x: *b}\n", "contains itself"),
    ("norm", "placement: before\nlayer: {_target_: torch.nn.LayerNorm, normalized_shape: 7}\n", "leave it out"),
    ("norm", "placement: before\nlayer: {}\n", "norm"),
    ("optimizer", option(f"{OPTIM}.SGD", lr=0.1, differentiable=True), "in-place"),
    ("optimizer", option(f"{OPTIM}.Adam", lr=1e300), "optimizer.lr=1e+300: must be at most 1e+30"),
    ("schedule", option(f"{LR}.CosineAnnealingLR", T_max=0), "schedule=own (torch.optim.lr_scheduler.CosineAnnealingLR): "),
    ("schedule", option(f"{LR}.StepLR", step_size=0), "schedule=own"),
    ("schedule", option(f"{LR}.StepLR", step_size=2, gamma="abc"), "schedule.gamma=abc: must be float"),
    ("schedule", option(f"{LR}.MultiStepLR", milestones="abc"), "schedule.milestones=abc: must be Iterable[int]"),
]  # fmt: skip


@pytest.mark.parametrize(("group", "text", "message"), WRONG)
def test_a_wrong_option_file(group: str, text: str, message: str, tmp_path: Path) -> None:
    assert message in outcome(tmp_path, group, text)


@pytest.mark.parametrize("data", ["xor", "sine", "gaussian"])
def test_a_loss_without_tasks_works_for_every_task(data: str, tmp_path: Path) -> None:
    config, choices = composed(tmp_path, "loss", option(f"{NN}.MSELoss"), f"data={data}")
    _, _, objective, _ = build_run(config, choices)
    assert isinstance(objective.criterion, torch.nn.MSELoss)


def test_a_trial_changes_nothing(tmp_path: Path) -> None:
    """Neither the network nor a generator, so that a run has the same numbers as without it."""
    config, choices = composed(tmp_path, "optimizer", option(f"{OPTIM}.Adamax"))
    data, network, _, module = build_run(config, choices)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    try_step(config, choices, data, module, planned_steps(config["trainer"], data))
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scale", ["init.sigma_b2=1e300", "init.sigma_b2=1e76"])
def test_what_overflows_is_infinite_without_a_warning(scale: str, run_here) -> None:
    for model in ("model.hidden=[4]", "model.hidden=[4,4,4]"):
        result, _ = run_here(*TINY[:3], "trainer=cpu", "probe=none", model, scale, folder=model)
        assert result["status"] in ("ok", "diverged")
    assert max(row["sigma_b2"] for row in result["profile"]) > 1e70 or result["status"] == "diverged"


def test_ours_are_not_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of our own options pays nothing."""
    monkeypatch.setattr("gradpath.run.trial._copied", lambda *_: pytest.fail("a trial"))
    monkeypatch.setattr("gradpath.run.trial.deepcopy", lambda *_: pytest.fail("a copy"))
    text = option(f"{NN}.ReLU")
    config, choices = composed(tmp_path, "activation", text, "norm=batch_before", "optimizer=muon", "optimizer.lr=0.1")
    assert run(config, choices, tmp_path / "run", [])["status"] == "ok"


@pytest.mark.parametrize("init", ["he_normal", "critical", "lsuv"])
@pytest.mark.parametrize("passes", [*range(7, 40, 3), 80, 160, 320])
def test_an_activation_that_fails_later_is_named(
    passes: int, init: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever calls it: the init scheme, the trial, theory or the inspection."""
    text = "calls = 0\ndef phi(x):\n    global calls\n    calls += 1\n    if calls > {}:\n        raise OSError('late')\n"
    (tmp_path / "late_package.py").write_text(f"{text.format(passes)}    return x.tanh()\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("GRADPATH_PACKAGES", "late_package")
    monkeypatch.delitem(sys.modules, "late_package", raising=False)
    config, choices = composed(tmp_path / "conf", "activation", option("late_package.phi"), f"init={init}")
    with suppress(RunFailed):
        try:
            run(config, choices, tmp_path / "run", [])
        except ConfigError as error:
            said = str(error)
        else:
            said = "activation: it ended"
    if not (tmp_path / "run").exists():
        assert re.match(r"activation(|=own \(late_package\.phi\)|\._target_=late_package\.phi): ", said), said


RAISED = {
    "no exception of Python's": ("class Odd(BaseException): pass", "Odd('at night')", "Odd: at night"),
    "the end of a generator": ("", "GeneratorExit", "GeneratorExit"),
    "one that cannot say it": ("class Mute(Exception):\n    def __str__(self): return 1 / 0", "Mute()", "Mute"),
}


@pytest.mark.parametrize("how", RAISED)
@pytest.mark.parametrize("passes", [0, 20, 80])
def test_whatever_is_raised(how: str, passes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the package is imported, tried or looked at it is refused in one line. In training it fails the run."""
    kind, raised, said = RAISED[how]
    text = f"{kind}\ncalls = 0\ndef phi(x):\n    global calls\n    calls += 1\n    if calls > {passes}: raise {raised}\n"
    (tmp_path / "raising.py").write_text(f"{text}    return x.tanh()\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("GRADPATH_PACKAGES", "raising")
    monkeypatch.delitem(sys.modules, "raising", raising=False)
    config, choices = composed(tmp_path / "conf", "activation", option("raising.phi"))
    with pytest.raises(ConfigError, match=rf"activation.*: {re.escape(said)}\.$"):
        run(config, choices, tmp_path / "run", [])
    assert not (tmp_path / "run").exists()


def test_whatever_is_raised_in_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind, raised, said = RAISED["no exception of Python's"]
    text = f"import sys\n{kind}\ndef phi(x):\n    frame = sys._getframe()\n    while frame:\n"
    text += f"        if frame.f_code.co_name == 'fit_and_test': raise {raised}\n        frame = frame.f_back\n"
    (tmp_path / "raising.py").write_text(f"{text}    return x.tanh()\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("GRADPATH_PACKAGES", "raising")
    monkeypatch.delitem(sys.modules, "raising", raising=False)
    config, choices = composed(tmp_path / "conf", "activation", option("raising.phi"))
    with pytest.raises(RunFailed, match=said):
        run(config, choices, tmp_path / "run", [])
    assert json.loads((tmp_path / "run/result.json").read_text())["status"] == "failed"
