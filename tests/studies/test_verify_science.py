"""`scripts/verify_science.py`: its claims hold, and a fault in the project's own code breaks the claim that is about it."""

import importlib.util
import json
from collections.abc import Callable
from math import nan
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradpath.config.checks import PROJECT
from gradpath.data import xor
from gradpath.flow import hooks, measuring, saturation
from gradpath.flow.places import Place
from gradpath.model import initialization
from gradpath.model.network import Block
from gradpath.model.objective import Objective
from gradpath.studies.papers import COUNT, SLOW, registry
from gradpath.studies.papers.claim import Check, Claim
from gradpath.theory import mean_field, moments, quadrature

Patch = pytest.MonkeyPatch
Gradients = tuple[Tensor | None, ...]
# Of the random claims; `make science` takes as many as are stated.
SEEDS = 2


@pytest.mark.parametrize("number", [n for n in registry.CLAIMS if n not in SLOW])
def test_a_claim_holds(number: int) -> None:
    claim, _ = registry.verified(number, SEEDS)
    assert claim.number == number
    assert claim.passed, claim.worst
    # Room for the numbers beside them in 80 columns.
    assert all(len(f"{claim.paper}: {check.setting}") <= 43 for check in claim.checks)


def test_there_are_twenty() -> None:
    assert list(registry.CLAIMS) == list(range(1, COUNT + 1))


def gain_too_large(patch: Patch) -> None:
    right = initialization.resolve_gain
    patch.setattr(initialization, "resolve_gain", lambda *arguments: 1.05 * right(*arguments))


def default_weights_too_large(patch: Patch) -> None:
    patch.setattr(nn.Linear, "reset_parameters", lambda self: nn.init.kaiming_uniform_(self.weight))


def xavier_with_fan_in_only(patch: Patch) -> None:
    patch.setattr(initialization, "variance_of", lambda init, fan_in, fan_out, gain=1.0: gain**2 / fan_in)


def gaussian_for_orthogonal(patch: Patch) -> None:
    patch.setattr(nn.init, "orthogonal_", lambda w, gain=1.0: nn.init.normal_(w, std=gain / w.shape[1] ** 0.5))


def biases_drawn(patch: Patch) -> None:
    right = initialization._fill
    patch.setattr(initialization, "_fill", lambda network, weight_, sigma_b2: right(network, weight_, sigma_b2 or 0.05))


def noisy_constants(patch: Patch) -> None:
    patch.setattr(nn.init, "constant_", lambda w, value: nn.init.normal_(w, value, 1e-3))


def batch_norm_on_the_other_side(patch: Patch) -> None:
    right, other = Block.__init__, {"before": "after", "after": "before", "none": "none"}
    patch.setattr(Block, "__init__", lambda self, *parts: right(self, *parts[:3], other[parts[3]]))


def batch_norm_with_a_large_eps(patch: Patch) -> None:
    right = F.batch_norm
    patch.setattr(F, "batch_norm", lambda *arguments: right(*arguments[:-1], 0.1))


def delta_of_the_mean(patch: Patch) -> None:
    right = measuring.Measuring._on_gradient

    def averaged(self: measuring.Measuring, place: Place, part: int, number: int | None, gradients: Gradients) -> None:
        right(self, place, part, number, tuple(None if g is None else g.mean(0).expand_as(g) for g in gradients))

    patch.setattr(measuring.Measuring, "_on_gradient", averaged)


def delta_of_nothing(patch: Patch) -> None:
    patch.setattr(measuring.Measuring, "_on_gradient", lambda *arguments: None)


def delta_of_the_next_layer(patch: Patch) -> None:
    right = hooks.Watch.add_up

    def shifted(self: hooks.Watch, *arguments: Any) -> int:
        batches = right(self, *arguments)
        deltas = [meter.delta for meter in self.meters]
        for meter, delta in zip(self.meters, [*deltas[1:], deltas[0]], strict=True):
            meter.delta = delta
        return batches

    patch.setattr(hooks.Watch, "add_up", shifted)


def saturation_from_90_percent(patch: Patch) -> None:
    patch.setattr(saturation, "SATURATED", 0.1)


def gauss_hermite(patch: Patch) -> None:
    z, w = np.polynomial.hermite_e.hermegauss(64)
    rule = torch.from_numpy(z), torch.from_numpy(w / w.sum())
    patch.setattr(moments, "gaussian", lambda phi, q, mean=0.0: (mean + q**0.5 * rule[0], rule[1]))


def too_few_nodes(patch: Patch) -> None:
    patch.setattr(quadrature, "NODES", 1)


def too_few_nodes_for_pairs(patch: Patch) -> None:
    patch.setattr(moments, "NODES_2D", 2)


def slope_not_squared(patch: Patch) -> None:
    patch.setattr(mean_field, "D", lambda phi, q: moments.slope_moment(phi, q, 1))


def wrong_alpha_of_selu(patch: Patch) -> None:
    patch.setattr(nn.SELU, "forward", lambda self, x: 1.05070099 * F.elu(x, alpha=1.67))


def and_for_xor(patch: Patch) -> None:
    patch.setattr(xor, "LABELS", torch.tensor([0, 0, 0, 1]))


def sum_for_mean(patch: Patch) -> None:
    right = Objective.loss
    patch.setattr(Objective, "loss", lambda self, outputs, targets: len(outputs) * right(self, outputs, targets))


def identity_that_bends(patch: Patch) -> None:
    patch.setattr(nn.Identity, "forward", lambda self, x: torch.tanh(x))


def adam_with_a_large_eps(patch: Patch) -> None:
    class Adam(torch.optim.Adam):
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, **options | {"eps": 1e-6})

    # The allowlist of targets goes by the module.
    Adam.__module__ = torch.optim.Adam.__module__
    patch.setattr(torch.optim, "Adam", Adam)


FAULTS = [
    (1, slope_not_squared),
    (1, too_few_nodes),
    (2, delta_of_the_mean),
    (4, gain_too_large),
    (4, default_weights_too_large),
    (5, default_weights_too_large),
    (6, xavier_with_fan_in_only),
    (7, biases_drawn),
    (8, batch_norm_on_the_other_side),
    (9, batch_norm_with_a_large_eps),
    (10, gaussian_for_orthogonal),
    (11, gain_too_large),
    (12, too_few_nodes_for_pairs),
    (13, gauss_hermite),
    (13, wrong_alpha_of_selu),
    (14, saturation_from_90_percent),
    (16, and_for_xor),
    (17, noisy_constants),
    (18, adam_with_a_large_eps),
    (19, identity_that_bends),
    (20, delta_of_the_mean),
    (20, delta_of_nothing),
    (20, delta_of_the_next_layer),
    (20, sum_for_mean),
]


@pytest.mark.parametrize(("number", "fault"), FAULTS, ids=lambda value: getattr(value, "__name__", None))
def test_a_fault_breaks_the_claim_about_it(number: int, fault: Callable[[Patch], None], monkeypatch: Patch) -> None:
    fault(monkeypatch)
    assert not registry.verified(number, SEEDS)[0].passed


def test_what_passes() -> None:
    assert Check("", 2.0, 2.05, 0.05).passed
    assert not Check("", 2.0, 2.06, 0.05).passed
    assert Check("", -4.0, -4.07, 0.02, relative=True).passed
    assert not Check("", -4.0, -4.09, 0.02, relative=True).passed
    assert Check("", 0.5, 0.5, kind="at least").passed
    assert not Check("", 0.5, 0.49, kind="at least").passed
    assert not Check("", 0.5, 0.51, kind="at most").passed
    assert not any(Check("", 0.5, nan, 0.1, kind=kind).passed for kind in ("equal", "at least", "at most"))
    assert Claim(1, "", "", [Check("a", 0.0, 0.1, 1.0), Check("b", 0.0, 0.5, 1.0)]).worst.setting == "b"
    assert Claim(1, "", "", [Check("a", 0.0, nan, 1.0), Check("b", 0.0, 0.5, 1.0)]).worst.setting == "a"


def test_the_command_prints_a_table_and_keeps_every_number(command, project: Path) -> None:
    done = command("scripts/verify_science.py", "--only", "12,19")
    assert done.returncode == 0, done.stderr
    assert "c_10 from c_0 = 0" in done.stdout
    assert "2 of 2 claims hold, 5 of 5 numbers" in done.stdout
    kept = json.loads((project / "logs/studies/science_12_19.json").read_text())
    assert kept["passed"]
    assert [claim["number"] for claim in kept["claims"]] == [12, 19]
    assert len(kept["claims"][0]["checks"]) == 4


WRONG = [
    (["--only", "21"], "21", "1 to 20"),
    (["--only", "twelve"], "twelve", "1 to 20"),
    (["--only", "8,"], "--only 8,", "1 to 20"),
    (["--seeds", "0"], "0", "at least 1"),
    (["--onyl", "8"], "--onyl", "--only"),
    (["--only", "8", "--quick"], "--quick", "choose one"),
]


@pytest.mark.parametrize(("arguments", "wrong", "allowed"), WRONG, ids=lambda value: str(value))
def test_a_wrong_input_is_answered_in_one_line(arguments, wrong, allowed, tmp_path, monkeypatch, capsys) -> None:
    assert _exit_code(arguments, tmp_path, monkeypatch) == 2
    printed = capsys.readouterr()
    assert not printed.out
    assert printed.err.count("\n") == 1
    assert wrong in printed.err
    assert allowed in printed.err
    assert not list(tmp_path.iterdir())


def test_a_claim_that_does_not_hold_ends_with_1(tmp_path, monkeypatch, capsys) -> None:
    and_for_xor(monkeypatch)
    assert _exit_code(["--only", "16"], tmp_path, monkeypatch) == 1
    printed = capsys.readouterr()
    assert printed.out.count("  NO\n") == 6
    assert printed.err == "error: claims that do not hold: 16\n"
    kept = json.loads((tmp_path / "logs/studies/science_16.json").read_text())
    assert not kept["passed"]


def _exit_code(arguments: list[str], project: Path, monkeypatch: Patch) -> int:
    """Of the script, run in this process in a project at another place."""
    script = _script()
    monkeypatch.setattr(script, "PROJECT", project)
    monkeypatch.setattr("sys.argv", ["verify_science.py", *arguments])
    with pytest.raises(SystemExit) as ended, script.one_line_ends(""):
        script.main()
    return int(ended.value.code or 0)


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("verify_science", PROJECT / "scripts/verify_science.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
