"""A resumed run checks all that it reads: a damaged folder is refused in one line, and stays as it is byte for byte."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from damage import ALL, BOMB, OTHERS, WEIGHTS, pipe, written
from gradpath.config.composition import CONF, compose
from gradpath.config.resume import resume_arguments
from gradpath.errors import ConfigError
from gradpath.run.build import build_run, planned_steps
from gradpath.run.evaluate import evaluate
from gradpath.run.folder import read_folder
from gradpath.run.saved import load_run
from gradpath.run.train import run, run_job
from in_process import by_command, contents

pytestmark = pytest.mark.forked

TINY = ("data=xor", "data.steps_per_epoch=3", "trainer.log_every_n_steps=1", "model.hidden=[4]", "trainer.max_epochs=2",
        "trainer.accelerator=cpu", "probe=standard", "norm=batch_before")  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "run"
    config, choices = compose(*TINY)
    assert run(config, choices, folder, [*TINY])["status"] == "ok"
    return folder


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


@pytest.fixture(scope="module")
def read(finished: Path) -> Callable[[Path], object]:
    """Reads the folder of a run as a command line that resumes it does, up to its first change."""
    config, choices = compose(*TINY, "trainer.max_epochs=3")
    data, _, _, module = build_run(config, choices)
    steps = planned_steps(config["trainer"], data)

    def call(folder: Path) -> object:
        resume_arguments([f"resume={folder}", "trainer.max_epochs=3"])
        return read_folder(folder, config, module, steps)

    return call


@pytest.mark.timeout(60)
@pytest.mark.parametrize("case", ALL)
def test_a_damaged_run_is_refused(case: str, folder: Path, read: Callable[[Path], object]) -> None:
    read(folder)
    ALL[case](folder)
    before = contents(folder)
    with pytest.raises(ConfigError) as refused:
        read(folder)
    assert "\n" not in str(refused.value)
    assert contents(folder) == before


IN_ONE_LINE = ("weights: sparse", "weights: a bare tensor", "counts: epoch -1", "counts: epoch nan", "states: no callback",
               "record: steps of text", ": metrics empty", ": divergence at x", ": checkpoints a file",
               ": overrides a bomb", ": config a pipe")  # fmt: skip


@pytest.mark.timeout(60)
@pytest.mark.parametrize("case", IN_ONE_LINE)
def test_it_is_refused_in_one_line(
    case: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    ALL[case](folder)
    before = contents(folder)
    monkeypatch.chdir(folder.parent)
    code, _, err = by_command(run_job, [f"resume={folder}", "trainer.max_epochs=3"], folder.parent, monkeypatch, capfd)
    assert (code, err.count("\n"), err[:7]) == (2, 1, "error: "), err
    assert contents(folder) == before


@pytest.mark.timeout(60)
@pytest.mark.parametrize("case", [*WEIGHTS, "config a bomb", "config a pipe", "config too long"])
def test_evaluate_refuses_it_too(case: str, folder: Path) -> None:
    (WEIGHTS | OTHERS)[case](folder)
    with pytest.raises(ConfigError) as refused:
        evaluate(folder)
    assert "\n" not in str(refused.value)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("case", ["config a bomb", "config within itself"])
def test_load_run_reads_no_alias(case: str, folder: Path) -> None:
    written("config.yaml", BOMB if "bomb" in case else "a: &a [*a]\n")(folder)
    with pytest.raises(ValueError, match=r"config\.yaml: damaged"):
        load_run(folder)


def test_load_run_waits_for_no_pipe(folder: Path) -> None:
    for name in ("config.yaml", "flow.npz", "metrics.csv"):
        pipe(name)(folder)
    assert load_run(folder).config is None


def test_an_undamaged_run_goes_on_again_and_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder.parent)
    for epochs in (3, 3, 5):
        typed = [f"resume={folder}", f"trainer.max_epochs={epochs}"]
        code, _, err = by_command(run_job, typed, folder.parent, monkeypatch, capfd)
        assert (code, err) == (0, "")
        assert json.loads((folder / "result.json").read_text())["metrics"]["last_epoch"] == epochs
    assert not list(folder.rglob(".*"))


OPTIONS = [
    *(f"{group}={path.stem}" for group in ("optimizer", "schedule") for path in sorted((CONF / group).glob("*.yaml"))),
    *("trainer.precision=64-true", "trainer.precision=bf16-mixed", "model.hidden=[]", "model.hidden=[3,3,3]", "probe=full"),
    *("probe=none", "data=sine", "optimizer.lr=1e30", "trainer.accumulate_grad_batches=2"),
]


@pytest.mark.parametrize("option", OPTIONS)
def test_an_undamaged_run_is_read(option: str, tmp_path: Path) -> None:
    """Whatever a run is made of, what it left is no damage."""
    typed = [
        text for text in TINY if text.split("=")[0] != option.split("=")[0] and not ("sine" in option and "data" in text)
    ]
    config, choices = compose(*typed, option)
    assert run(config, choices, tmp_path / "run", [*typed, option])["status"] in ("ok", "diverged")
    config, choices = compose(*typed, option, "trainer.max_epochs=3")
    data, _, _, module = build_run(config, choices)
    done = read_folder(tmp_path / "run", config, module, planned_steps(config["trainer"], data))
    assert done
    assert done.epochs in (1, 2)
