"""Runs the commands of README.md and docs/ as they stand there, and checks the numbers that stand beside them.

Each command in a code block has a place in one of the tables below, so that a new one cannot be forgotten.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import image

from board import wait_until
from commands import environment, heeds_interrupts
from conftest import Command
from faults import FAULTS
from gradpath.config.checks import PROJECT
from gradpath.studies import outlook_check, trainability
from gradpath.studies.chapter.entries import STUDIES
from gradpath.studies.papers import COUNT

PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").rglob("*.md"))]
TINY = "data.limit=256 trainer.max_epochs=1 trainer.accelerator=cpu"
SMALL = f"{TINY} model.width=32"
Check = Callable[["Ran"], Any]


@dataclass(frozen=True)
class Typed:
    """A command in a page's code block, the comment beside it, and the lines of output that the page shows."""

    page: str
    command: str
    promise: str
    shown: tuple[str, ...]


@dataclass(frozen=True)
class Ran:
    """A command that has ended: what it printed, the folders of the runs that it made, and their results at that time."""

    out: str
    runs: list[Path]
    results: list[dict[str, Any]]

    @classmethod
    def now(cls, out: str, runs: list[Path]) -> "Ran":
        return cls(out, runs, [json.loads((run / "result.json").read_text()) for run in runs])

    def metric(self, name: str) -> float:
        return float(self.results[-1]["metrics"][name])


def commands() -> list[Typed]:
    """Every line of a bash block, and every line that begins with $ in any other block."""
    found = []
    for page in PAGES:
        for language, block in re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
            mark = "" if language in ("bash", "sh", "shell") else "$ "
            lines = block.splitlines()
            starts = [k for k, line in enumerate(lines) if line.strip() and line.startswith(mark)]
            for start, end in zip(starts, [*starts, len(lines)][1:], strict=True):
                command, _, promise = lines[start].removeprefix(mark).partition(" #")
                place = str(page.relative_to(PROJECT))
                found.append(Typed(place, command.strip(), promise.strip(), tuple(lines[start + 1 : end])))
    return found


def resemble(output: str, shown: tuple[str, ...]) -> None:
    """The lines that a page shows stand in the output in their order. `...` stands for anything; numbers are about equal."""
    lines = iter(output.splitlines())
    for line in shown:
        if line.strip() not in ("", "..."):
            assert any(alike(printed, line) for printed in lines), (line, output)


def alike(printed: str, shown: str) -> bool:
    pairs = [re.split(r"([\d.]+(?:e-?\d+)?)", " ".join(text.split())) for text in (printed, shown)]
    if shown.endswith("..."):
        pairs = [[" ".join(printed.split())[: len(shown) - 3]], [shown[:-3]]]
    if pairs[0][::2] != pairs[1][::2]:
        return False
    numbers = [
        (float(one.strip(".") or 0), float(two.strip(".") or 0)) for one, two in zip(*(p[1::2] for p in pairs), strict=True)
    ]
    return all(one == pytest.approx(two, rel=0.03) for one, two in numbers)


def steps_of(run: Path) -> list[int]:
    return [int(step) for step in np.load(run / "flow.npz")["step"]]


# (a) Run in `make test`: the line as it stands, and what makes it quick. Then what it has to have done.
SHRUNK: dict[str, tuple[str, Check]] = {
    "python train.py": (TINY, lambda ran: ran.metric("last_epoch") == 1),
    "python train.py optimizer.lr=0.01 model.hidden=[64,64]": (
        TINY, lambda ran: len(ran.results[-1]["profile"]) == 3 and "784 -> 64" in ran.out),
    "python train.py model=deep model.depth=30 init=critical activation=tanh": (
        SMALL, lambda ran: len(ran.results[-1]["profile"]) == 31),
    "python train.py experiment=vanishing_sigmoid": (
        TINY, lambda ran: ran.results[-1]["verdict"]["class"] == "vanishing"),
    "python train.py trainer=debug": ("", lambda ran: steps_of(ran.runs[-1]) == list(range(10))),
    "python train.py probe=standard": (
        TINY, lambda ran: steps_of(ran.runs[-1]) == [0, 1]),
    "python scripts/probe.py activation=sigmoid model=deep model.depth=30": (
        "model.width=32", lambda ran: "gradient at the start: vanishing" in ran.out),
    "python scripts/study.py": ("", lambda ran: [line.split()[0] for line in ran.out.splitlines()[1:]] == list(STUDIES)),
    "python scripts/by_hand.py": ("", lambda ran: "each computed once; largest difference" in ran.out),
    "python scripts/by_hand.py chain activation=tanh x=2 y=1": ("", lambda ran: "tanh'(h) = 1 - tanh(h)^2" in ran.out),
    "python scripts/by_hand.py mlp data=xor_noisy model.hidden=[4,3] norm=batch_before": (
        "", lambda ran: "192 numbers on its way to the inputs, each once" in ran.out),
    "python train.py activation=tanh init=he_normal init.gain=1 init.sigma_b2=0.05 model=deep model.depth=40 "
    "optimizer=sgd": (
        TINY, lambda ran: len(ran.results[-1]["profile"]) == 41),
    "python scripts/probe.py init=pytorch model=deep model.depth=14 model.width=300": ("", lambda ran: ran.out),
    "python scripts/probe.py model=deep norm=batch_after": ("", lambda ran: ran.out),
}  # fmt: skip
REFUSED = [
    "python train.py activation=reluu",
    "python train.py model.depth=5",
    "python train.py norm=batch_before data.batch_size=1",
]

# (b) Run as it stands in a fresh copy, in this order, by `make test-all`.
AT_SIZE = [
    "make train",
    "python train.py data=xor model=two_layer",
    "python train.py data=xor model=perceptron",
    "python train.py trainer=ddp trainer.devices=2",
    "python train.py resume=last",
    "python train.py resume=last trainer.max_epochs=20",
    "python scripts/probe.py -m activation=sigmoid,tanh,relu init=xavier_normal,critical model=deep",
    "python scripts/evaluate.py run=last",
    "python train.py --help",
    "python scripts/phase_diagram.py gelu",
    "python scripts/study.py learning_rate",
    ".venv/bin/python scripts/phase_diagram.py tanh --out docs/images/phase_diagram_tanh.png",
    ".venv/bin/python scripts/phase_diagram.py gelu --out docs/images/phase_diagram_gelu.png",
]
# These take from minutes to an hour. `make test-all` starts them as they stand, and presses Ctrl-C after a training.
BEGUN = [
    "python scripts/tour.py",
    "python scripts/study.py learning_rate rates=[3,0.3,0.03] optimizer=sgd activation=tanh",
    "python scripts/trainability.py",
    "python scripts/compare_init.py",
    "python scripts/check_outlook.py",
    "python scripts/check_outlook.py adam",
]
# These run tests or hours of trainings. `make -n` says what they would run.
PRINTED = {
    "make check": "mypy",
    "make test": "-m pytest",
    "make test-all": '-m pytest --fresh -m "not planted and not exhaustive"',
    "make exhaustive": "-m pytest -m exhaustive",
    "make faults": "-m pytest -n 0 -m planted",
    "make science": "scripts/verify_science.py",
    "make studies": "scripts/study.py --all --pages docs/studies",
}
# (c) Run by another test: its file and name, and how the command is written there.
COVERED = {
    "make dashboard": ("run/test_tabs.py", "board", "make_dashboard(folder)"),
    "python train.py optimizer=adam activation=gelu": (
        "cli/test_train.py", "test_a_choice_of_each_group", '"train.py", "optimizer=adam", "activation=gelu"'),
    "python train.py -m activation=sigmoid,relu init=xavier_normal,he_normal": (
        "run/test_tabs.py", "board", "-m activation=sigmoid,relu init=xavier_normal,he_normal "),
    "export GRADPATH_PACKAGES=mylab": (
        "run/test_options.py", "test_a_package_beside_train_py", '"GRADPATH_PACKAGES": "mylab"'),
    ".venv/bin/python scripts/trainability.py --out docs/images/trainability.png": (
        "cli/test_pictures.py", "test_an_ended_map_goes_on", 'command(MAP, "--quick", "--out", "logs/map.png")'),
    **{f"python {typed}": ("sweep/test_worked_example.py", name, f'"{typed}"') for name, typed in (
        ("test_from_the_command_to_the_conclusion", "train.py -m experiment=depth_20 sweep.name=depth_20"),
        ("test_from_the_command_to_the_conclusion", "scripts/compare.py depth_20 --by activation,init"),
        ("test_from_the_command_to_the_conclusion", "scripts/compare.py depth_20 --by init --against init=critical"),
        ("test_from_the_command_to_the_conclusion",
         "train.py -m experiment=depth_20 sweep.name=depth_20 seed=0,1,2,3,4,5,6"),
        ("test_a_search",
         "train.py -m hydra/sweeper=optuna activation=relu,tanh 'optimizer.lr=tag(log,interval(1e-4,0.1))' sweep.name=rate"),
        ("test_the_list_of_jobs", "train.py -m activation=sigmoid,relu init=xavier_normal,he_normal sweep.dry_run=true"),
        ("test_three_pairs", "train.py -m model=deep model.depth=5,10,20 optimizer.lr=0.1,0.03,0.01 "
         "sweep.zip=[model.depth,optimizer.lr]"),
    )},
    "python scripts/benchmark.py neighbours": (
        "test_threads.py", "test_the_table_of_neighbours", "benchmark.neighbours(pairs=1)"),
    "python scripts/benchmark_sweeps.py": (
        "sweep/test_costs.py", "test_the_table", '"scripts/benchmark_sweeps.py", "largest=10"'),
    # Each at full size takes minutes; here it is the quick one.
    **{f"python scripts/study.py {name}": ("studies/test_chapter.py", "test_study", "study(name, quick=True)")
       for name in STUDIES if name != "learning_rate"},
}  # fmt: skip


def test_every_command_has_its_place() -> None:
    tables = [[*SHRUNK], REFUSED, AT_SIZE, BEGUN, [*PRINTED], [*COVERED]]
    placed = [command for table in tables for command in table]
    assert len(placed) == len(set(placed))
    assert set(placed) == {typed.command for typed in commands()}


@pytest.mark.parametrize("typed", COVERED)
def test_what_another_test_runs(typed: str) -> None:
    file, name, written = COVERED[typed]
    text = (PROJECT / "tests" / file).read_text()
    (body,) = re.findall(rf"^def {name}\(.*?(?=^\S|\Z)", text.replace("\n) ->", ") ->"), re.MULTILINE | re.DOTALL)
    assert written in body


def resembles_the_pages(output: str, command: str) -> None:
    """Compares what a command printed with what each page shows below it."""
    for typed in commands():
        if typed.command == command:
            resemble(output, typed.shown)


@pytest.mark.parametrize("typed", SHRUNK)
def test_shrunk(command: Command, project: Path, typed: str) -> None:
    extra, check = SHRUNK[typed]
    before = set((project / "logs").rglob("result.json"))
    done = command(*shlex.split(typed)[1:], *extra.split())
    assert done.returncode == 0, done.stderr
    made = set((project / "logs").rglob("result.json")) - before
    runs = [path.parent for path in sorted(made, key=lambda path: path.stat().st_mtime_ns)]
    assert check(Ran.now(done.stdout, runs)), done.stdout
    resembles_the_pages(done.stdout, typed)


@pytest.mark.parametrize("typed", REFUSED)
def test_a_mistake(before_torch: Command, typed: str) -> None:
    done = before_torch(*shlex.split(typed)[1:])
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    resembles_the_pages(done.stderr, typed)


def test_a_finished_run_goes_on(command: Command, project: Path) -> None:
    """`resume=last trainer.max_epochs=20` and `run=last` as they stand, after a short run."""
    folder = project / "logs/runs/newest"
    small = ("data=xor", "trainer.accelerator=cpu", "trainer.max_epochs=2", "model.hidden=[8]")
    assert command("train.py", *small, f"hydra.run.dir={folder}").returncode == 0
    done = command("train.py", "resume=last", "trainer.max_epochs=20")
    assert done.returncode == 0, done.stderr
    metrics = json.loads((folder / "result.json").read_text())["metrics"]
    assert metrics["last_epoch"] == 20
    assert numbers(command("scripts/evaluate.py", "run=last").stdout) == pytest.approx(
        {name: metrics[name] for name in ("test/loss", "test/accuracy")}, abs=1e-4
    )


def numbers(output: str) -> dict[str, float]:
    """The lines `name: number` of a command's output."""
    return {name: float(value) for name, value in re.findall(r"^\s*(test/\w+): ([\d.e-]+)$", output, re.MULTILINE)}


@pytest.mark.parametrize(
    ("typed", "count"),
    [
        ("make faults", len(FAULTS)),
        ("make science", COUNT),
        ("python scripts/trainability.py", len(trainability.FULL.depths) * len(trainability.FULL.sigma_w2)),
        *((f"python scripts/check_outlook.py{' adam' * (kind == 'adam')}", 20 * len(depths) * len(outlook_check.RATES[kind]))
          for kind, depths in outlook_check.DEPTHS.items()),
    ],
)  # fmt: skip
def test_the_counts_in_the_comments(typed: str, count: int) -> None:
    promises = " ".join(found.promise for found in commands() if found.command == typed)
    assert str(count) in promises.replace("twenty", "20").split()


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh copy of the tracked files, as a clone is, with this project's .venv."""
    folder = tmp_path_factory.mktemp("clone")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(PROJECT / name, folder / name)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


def shell(typed: str, copy: Path) -> "subprocess.Popen[str]":
    """Types a line into a shell in the copy, in which .venv is active."""
    own = {name: value for name, value in environment(copy).items() if not name.startswith(("MAKE", "MFLAGS", "ARGS"))}
    return subprocess.Popen(
        ["bash", "-c", f"source .venv/bin/activate; {typed}"], cwd=copy, env=own, text=True, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=heeds_interrupts,
    )  # fmt: skip


@pytest.mark.parametrize("typed", PRINTED)
def test_what_make_would_run(copy: Path, typed: str) -> None:
    out, err = shell(typed.replace("make", "make -n"), copy).communicate(timeout=60)
    assert PRINTED[typed] in out, err


def stop(process: "subprocess.Popen[str]", begun: Callable[[], bool]) -> str:
    """Presses Ctrl-C, as a terminal does, once the command has begun. Returns its last words."""
    try:
        wait_until(begun, 600, ended=lambda: process.poll() is not None)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=240)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130, err
    return err.splitlines()[-1] if err else ""


def unfinished(logs: Path) -> bool:
    """Whether a run has a checkpoint and no result."""
    return any(not (path.parents[1] / "result.json").exists() for path in logs.glob("runs/*/*/checkpoints/last.ckpt"))


def picture(path: Path) -> np.ndarray:
    return image.imread(path)[:, :, :3]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_at_size(copy: Path) -> None:
    """In a clone, in the README's order: what the comments promise comes true."""
    ran: dict[str, Ran] = {}
    logs = copy / "logs"
    for typed in AT_SIZE:
        if typed == "python train.py resume=last":
            stop(shell("python train.py", copy), lambda: unfinished(logs))
        before = {path: path.stat().st_mtime_ns for path in logs.rglob("result.json")}
        process = shell(typed, copy)
        out, err = process.communicate(timeout=900)
        assert process.returncode == 0, (typed, err)
        made = [path.parent for path in logs.rglob("result.json") if before.get(path) != path.stat().st_mtime_ns]
        ran[typed] = Ran.now(out, made)
    one, solved, stuck, two, resumed, longer, looked, evaluated, explained, _, rates, *_ = ran.values()
    (promised,) = (float(number) for typed in commands() for number in re.findall(r"([\d.]+) % on the test", typed.promise))
    assert 100 * one.metric("test/accuracy") == pytest.approx(promised, abs=0.4)
    assert solved.metric("test/accuracy") == 1
    assert stuck.metric("train/loss") == pytest.approx(log(2), abs=0.01)
    assert len(looked.out.splitlines()) == 7
    # Sums of two processes are rounded differently, which 4,300 steps make larger. Short runs agree to the sixth digit.
    assert two.metric("test/accuracy") == pytest.approx(one.metric("test/accuracy"), abs=0.004)
    assert resumed.results[-1]["metrics"] == one.results[-1]["metrics"]
    assert longer.runs == resumed.runs
    assert longer.metric("last_epoch") == 20
    assert numbers(evaluated.out) == pytest.approx(
        {name: longer.metric(name) for name in ("test/loss", "test/accuracy")}, abs=1e-4
    )
    assert all(f"\n{group}: " in explained.out for group in ("activation", "init", "optimizer"))
    (promised_rates,) = (typed.promise.partition(":")[0] for typed in commands()
                         if typed.command.endswith("study.py learning_rate") and typed.promise)  # fmt: skip
    assert promised_rates in " ".join(rates.out.split())
    assert (copy / "logs/studies/phase_diagram_gelu.png").read_bytes().startswith(b"\x89PNG")
    for name in ("tanh", "gelu"):
        drawn, kept = (picture(folder / f"docs/images/phase_diagram_{name}.png") for folder in (copy, PROJECT))
        assert drawn.shape == kept.shape
        assert np.abs(drawn - kept).mean() < 0.01


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("typed", [*BEGUN[:2], *(pytest.param(typed, marks=pytest.mark.exhaustive) for typed in BEGUN[2:])])
def test_begun(copy: Path, typed: str) -> None:
    shutil.rmtree(copy / "logs/studies", ignore_errors=True)
    last = stop(shell(typed, copy), lambda: any((copy / "logs/studies").rglob("made_by")))
    goes_on = "python scripts/tour.py goes on where it was." if "tour" in typed else "the same command goes on where it was."
    assert last == f"error: stopped; {goes_on}"
