"""docs/sweeps.md, from the command to the conclusion, on small runs."""

import re
import shlex
from pathlib import Path

from conftest import Command
from sweeping import pointer, results

SMALL = ("model.depth=3", "model.width=8", "data.limit=64", "trainer.max_epochs=1", "trainer.accelerator=cpu")


def test_from_the_command_to_the_conclusion(command: Command, project: Path) -> None:
    typed = "train.py -m experiment=depth_20 sweep.name=depth_20"
    few = ("activation=sigmoid,tanh", "init=xavier_normal,critical")
    begun = command(*typed.split(), *SMALL, *few, "seed=0,1,2,3,4")
    assert begun.returncode == 0, begun.stdout + begun.stderr
    folder = project / "logs/sweeps/depth_20"
    before = results(folder)
    assert len(before) == 20
    grouped, against = (
        "scripts/compare.py depth_20 --by activation,init",
        "scripts/compare.py depth_20 --by init --against init=critical",
    )
    table = command(*grouped.split()).stdout
    assert len(re.findall(r"^ +(sigmoid|tanh) +(xavier_normal|critical) +0\.\d+ +0\.\d+ +5 ", table, re.MULTILINE)) == 4
    text = command(*against.split()).stdout
    assert (
        "n = 5 is too small to show anything: with 1 comparison the corrected p is at least 0.0625; 6 seeds are needed."
        in text
    )
    longer = "train.py -m experiment=depth_20 sweep.name=depth_20 seed=0,1,2,3,4,5,6"
    gone_on = command(*longer.split(), *SMALL, *few)
    assert "28 jobs, 8 to run, 20 done before" in gone_on.stdout
    after = results(folder)
    assert {name: after[name] for name in before} == before
    assert "too small" not in command("scripts/compare.py", "depth_20", "--by", "init", "--against", "init=critical").stdout


def test_the_list_of_jobs(command: Command) -> None:
    typed = "train.py -m activation=sigmoid,relu init=xavier_normal,he_normal sweep.dry_run=true"
    lines = command(*typed.split()).stdout.splitlines()
    assert lines[0].split() == ["0-sigmoid-xavier_normal", "activation=sigmoid", "init=xavier_normal"]
    assert lines[-1] == "4 jobs"


def test_three_pairs(command: Command) -> None:
    typed = "train.py -m model=deep model.depth=5,10,20 optimizer.lr=0.1,0.03,0.01 sweep.zip=[model.depth,optimizer.lr]"
    lines = command(*typed.split(), "sweep.dry_run=true").stdout.splitlines()
    assert [re.findall(r"(?:depth|lr)=(\S+)", line) for line in lines[:-1]] == [["5", "0.1"], ["10", "0.03"], ["20", "0.01"]]


def test_a_search(command: Command, project: Path) -> None:
    typed = (
        "train.py -m hydra/sweeper=optuna activation=relu,tanh 'optimizer.lr=tag(log,interval(1e-4,0.1))' sweep.name=rate"
    )
    small = ("model.hidden=[4]", *SMALL[2:], "hydra.sweeper.n_trials=3")
    done = command(*shlex.split(typed), *small)
    assert done.returncode == 0, done.stdout + done.stderr
    found = results(project / "logs/sweeps/rate")
    assert len(found) == 3
    # The best trial's command, alone, comes to the same loss.
    told, alone = pointer(done.stdout, "best"), pointer(done.stdout, "alone").removeprefix("python ")
    again = command(*shlex.split(alone), "hydra.run.dir=logs/runs/best_of_search")
    assert again.returncode == 0, again.stderr
    losses = [result["metrics"]["val/loss"] for result in found.values()]
    one = results(project / "logs/runs")["best_of_search"]["metrics"]["val/loss"]
    assert one == min(loss for loss in losses if isinstance(loss, float))
    assert f"metrics.val/loss {one:.4g}" in told
