"""Runs the commands of README.md and docs/ as they stand there, and checks the numbers that stand beside them.

Each command in a code block has a place in one of the tables below, so that a new one cannot be forgotten.
"""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_in_a_clone import BEGUN, OTHERS, PICTURES, PRINTED, TRAININGS

from conftest import Command
from faults import FAULTS
from gradpath.config.checks import PROJECT
from gradpath.studies import outlook_check, trainability
from gradpath.studies.chapter.entries import STUDIES
from gradpath.studies.papers import COUNT
from pages import Ran, commands, numbers, resembles_the_pages

TINY = "data.limit=256 trainer.max_epochs=1 trainer.accelerator=cpu"
SMALL = f"{TINY} model.width=32"
Check = Callable[["Ran"], Any]


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

# (c) Run by another test: its file and name, and how the command is written there.
COVERED = {
    "make dashboard": ("run/test_tabs.py", "board", "make_dashboard(folder)"),
    "python train.py optimizer=adam activation=gelu": (
        "cli/test_train.py", "test_a_choice_of_each_group", '"train.py", "optimizer=adam", "activation=gelu"'),
    "python train.py -m activation=sigmoid,relu init=xavier_normal,he_normal": (
        "run/test_tabs.py", "board", "-m activation=sigmoid,relu init=xavier_normal,he_normal "),
    "python train.py trainer=ddp trainer.devices=2": (
        "cli/test_train.py", "test_two_processes_equal_one", '"train.py", *common, "trainer=ddp", "trainer.devices=2"'),
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
    "python scripts/benchmark.py loops": (
        "test_threads.py", "test_the_table_of_own_loops", "benchmark.own_loops(pairs=1)"),
    "python scripts/benchmark_sweeps.py": (
        "sweep/test_costs.py", "test_the_table", '"scripts/benchmark_sweeps.py", "largest=10"'),
    # Each at full size takes minutes; here it is the quick one.
    **{f"python scripts/study.py {name}": ("studies/test_chapter.py", "test_study", "study(name, quick=True)")
       for name in STUDIES},
}  # fmt: skip


def test_every_command_has_its_place() -> None:
    tables = [[*SHRUNK], REFUSED, TRAININGS, OTHERS, PICTURES, BEGUN, [*PRINTED], [*COVERED]]
    placed = [command for table in tables for command in table]
    assert len(placed) == len(set(placed))
    assert set(placed) == {typed.command for typed in commands()}


@pytest.mark.parametrize("typed", COVERED)
def test_what_another_test_runs(typed: str) -> None:
    file, name, written = COVERED[typed]
    text = (PROJECT / "tests" / file).read_text()
    (body,) = re.findall(rf"^def {name}\(.*?(?=^\S|\Z)", text.replace("\n) ->", ") ->"), re.MULTILINE | re.DOTALL)
    assert written in body


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


@pytest.mark.part
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
