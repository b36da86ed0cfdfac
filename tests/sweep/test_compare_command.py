"""`scripts/compare.py` as typed: what it prints in each format, what it refuses, and what it costs for many runs."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from commands import ended, environment, fresh_process
from conftest import tree
from finished_sweeps import COMMAND, Given, result, write_run, write_sweep
from gradpath.locks import hold
from screen import on_terminal

pytestmark = pytest.mark.forked

SCRIPT = "scripts/compare.py"
SEEDS = [str(k) for k in range(6)]


def outcome(given: Given) -> dict | None:
    """tanh is better than relu by far, gelu is relu; one of gelu's runs diverged."""
    value = 0.1 * (int(given["seed"]) % 3) + (0.5 if given["activation"] == "tanh" else 0.0)
    if given == {"activation": "gelu", "seed": "2"}:
        return result(value, status="diverged", error="NaN")
    kind = "vanishing" if given["seed"] in ("0", "4") else "healthy"
    return result(value, verdict={"class": kind, "ratio": 1.0, "findings": []})


@pytest.fixture(scope="module")
def sweeps(project: Path) -> Iterator[Path]:
    """logs/sweeps of the copy: `made` is complete, `half` lacks two jobs and has a failed one."""
    place = project / "logs/sweeps"
    axes = {"activation": ["relu", "tanh", "gelu"], "seed": SEEDS}
    write_sweep(place / "made", axes, outcome)

    def incomplete(given: Given) -> dict | None:
        if given["activation"] == "tanh" and given["seed"] in "03":
            return None
        failed = given == {"activation": "relu", "seed": "1"}
        return result(None, status="failed", error="out of memory") if failed else outcome(given)

    write_sweep(place / "half", axes, incomplete)
    write_run(place / "alone", result(None, status="failed", error="out of memory", metrics={}))
    write_run(place / "runs/one", result(0.5))
    yield place
    shutil.rmtree(place)


def test_a_table(before_torch, sweeps: Path) -> None:
    done = before_torch(SCRIPT, "made")
    assert (done.returncode, done.stderr) == (0, "")
    head, *table = done.stdout.splitlines()
    assert head == "logs/sweeps/made: 18 runs, 17 ok, 1 diverged; 45 s in all. test/accuracy, averaged over seed:"
    assert [" ".join(line.split()) for line in table[:4]] == [
        "activation test/accuracy std n diverged verdict seconds",
        "tanh 0.6 0.08944 6 0 healthy 4, vanishing 2 15",
        "relu 0.1 0.08944 6 0 healthy 4, vanishing 2 15",
        "gelu 0.08 0.08367 5 1 healthy 4, vanishing 2 15",
    ]
    assert table[4:] == ["", "Not averaged: 14-job (diverged)."]


def test_differences(before_torch, sweeps: Path) -> None:
    done = before_torch(SCRIPT, "logs/sweeps/made", "--against", "activation=relu", "--sort", "activation")
    text = done.stdout.split("Against ")[1].splitlines()
    assert text[0].startswith("activation=relu: test/accuracy of the group minus that of its base, by seed;")
    assert "10,000 resamples" in text[0]
    assert "Holm for 2 comparisons" in text[0]
    assert [" ".join(line.split()) for line in text[2:4]] == [
        "gelu +0 +0 to +0 5 1 1 not shown",
        "tanh +0.5 +0.5 to +0.5 6 0.03125 0.0625 not shown",
    ]
    assert "n = 6 is too small to show anything (activation=tanh): with 2 comparisons the corrected p" in done.stdout
    assert "7 seeds are needed." in done.stdout
    assert "No pair: activation=gelu: seed=2: activation=gelu (14-job) diverged." in text


def test_csv_and_json_say_the_same(before_torch, sweeps: Path) -> None:
    asked = (SCRIPT, "made", "--against", "activation=gelu", "--metric", "test/loss")
    table = [*csv.DictReader(io.StringIO(before_torch(*asked, "--format", "csv").stdout))]
    found = json.loads(before_torch(*asked, "--format", "json").stdout)
    assert found["metric"] == "test/loss"
    assert [row["activation"] for row in table] == [group["values"]["activation"] for group in found["groups"]]
    for row, group in zip(table, found["groups"], strict=True):
        numbers = ("mean", "std", "n", "diverged", "failed", "missing", "seconds")
        assert [float(row[name if name != "mean" else "test/loss"]) for name in numbers] == [group[name] for name in numbers]
    arms = {arm["group"]["activation"]: arm for arm in found["against"]["comparisons"]}
    assert {row["activation"] for row in table if row["result"]} == {*arms} == {"relu", "tanh"}
    for row in table:
        if row["result"]:
            arm = arms[row["activation"]]
            assert [float(row["difference"]), float(row["low"]), float(row["high"])] == [arm["difference"], *arm["interval"]]
            assert (int(row["pairs"]), float(row["p"]), row["result"]) == (arm["n"], arm["p"], arm["result"])
            assert arm["unpaired"] == ["seed=2: activation=gelu (14-job) diverged"]
    noted = before_torch(*asked, "--format", "csv").stderr.splitlines()
    assert noted == found["notes"]
    assert any("14-job (diverged)" in note for note in noted)


def test_markdown(before_torch, sweeps: Path) -> None:
    done = before_torch(SCRIPT, "made", "--format", "markdown", "--against", "activation=relu")
    tables = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert tables[0] == "| activation | test/accuracy | std | n | diverged | verdict | seconds |"
    assert tables[2] == "| tanh | 0.6 | 0.08944 | 6 | 0 | healthy 4, vanishing 2 | 15 |"
    assert tables[5] == "| activation | difference | interval | n | p | corrected | result |"
    assert "- No pair: activation=gelu: seed=2: activation=gelu (14-job) diverged." in done.stdout


def test_an_incomplete_sweep(before_torch, sweeps: Path) -> None:
    done = before_torch(SCRIPT, "half")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: logs/sweeps/half: of 18 jobs 2 missing and 1 failed; go on with "
        f"{COMMAND} sweep.name=half sweep.retry=failed, or add --partial to compare what there is.\n"
    )
    partial = before_torch(SCRIPT, "half", "--partial", "--against", "activation=relu")
    assert partial.returncode == 0
    assert "18 runs, 14 ok, 1 diverged, 1 failed, 2 missing;" in partial.stdout
    groups, arms = partial.stdout.split("Against ")
    rows = {line.split()[0]: line.split() for line in groups.splitlines() if line.startswith("  ")}
    assert rows["activation"][3:7] == ["n", "diverged", "failed", "missing"]
    assert [rows[name][3:7] for name in ("relu", "tanh", "gelu")] == [
        ["5", "0", "1", "0"],
        ["4", "0", "0", "2"],
        ["5", "1", "0", "0"],
    ]
    assert "Not averaged: 1-job (failed), 6-job (missing), 9-job (missing), 14-job (diverged)." in partial.stdout
    for seed, job in ((0, 6), (3, 9)):
        assert f"seed={seed}: activation=tanh ({job}-job) is missing" in arms
    assert arms.count("seed=1: activation=relu (1-job) failed") == 2
    assert [line.split()[-6] for line in arms.splitlines() if line.startswith("  tanh")] == ["+0.5"]


WRONG = [
    ("", "error: no sweep given. The newest are "),
    ("mad", "error: mad: no sweep and no run (neither sweep.yaml nor result.json is there). Did you mean made?"),
    ("logs/sweeps/mad", "Did you mean made?"),
    ("nothing-like-it", "is there). The newest are "),
    ("made mad", "error: mad: no sweep and no run"),
    ("activation=relu", "error: activation=relu: no sweep and no run"),
    ("runs", "error: runs: holds runs but no sweep.yaml; name the runs, as logs/sweeps/runs/* does."),
    ("alone", "error: logs/sweeps/alone: the run failed; go on with python train.py resume=logs/sweeps/alone, or add"),
    ("alone --partial", "error: no run has a loss or an accuracy; write --metric with ratio, rate_per_layer or seconds."),
    (
        "made --by activtion",
        "--by activtion: must be keys in which the runs differ: activation, seed. Did you mean activation?",
    ),
    ("made --by activation,init", "--by activation,init: must be keys"),
    ("made --by", "--by: expected one argument"),
    (
        "made --metric test/acuracy",
        "--metric test/acuracy: must be test/loss, test/accuracy, ratio, seconds or rate_per_layer.",
    ),
    ("made --metric class", "--metric class: must be"),
    (
        "made --sort sedonds",
        "--sort sedonds: must be activation, test/accuracy, std, n, diverged, pruned, failed, ended from outside, "
        "missing or seconds. Did you mean seconds?\n",
    ),
    ("half --by activtion", "--by activtion: must be keys in which the runs differ: activation, seed. Did you mean"),
    ("half --metric test/acuracy", "--metric test/acuracy: must be"),
    ("half --sort sedonds", "Did you mean seconds?"),
    ("half --against activation=rleu", "activation is tanh, relu, gelu, never rleu. Did you mean relu?"),
    ("half --by activation", "error: logs/sweeps/half: of 18 jobs 2 missing and 1 failed; go on with"),
    ("made --format cvs", "--format cvs: must be plain, markdown, csv or json. Did you mean csv?"),
    ("made --against relu", "--against relu: must be key=value, such as activation=tanh."),
    ("made --against activation=rleu", "activation is tanh, relu, gelu, never rleu. Did you mean relu?"),
    ("made --against activaton=relu", "the groups are made by activation, not by activaton. Did you mean activation?"),
    ("made --against seed=0", "--against seed=0: the groups are made by activation, not by seed."),
    ("made --by seed --against seed=0", "pairs are made by the seed; leave seed out of --by."),
    ("made --by activation --against activation=", "activation is tanh, relu, gelu, never empty."),
    ("runs/one --against activation=relu", "there is one group only, not by activation."),
    ("made --partil", "error: --partil: not understood. Did you mean --partial? Allowed: [-h] [SWEEP ...] [--by KEY[,KEY]]"),
    ("a\x1b[2Jb", "error: a\\x1b[2Jb: no sweep"),
    ("x" * 300, ": File name too long."),
]


def test_a_sweep_without_any_result(before_torch, sweeps: Path) -> None:
    write_sweep(sweeps / "none", {"seed": ["0", "1"]}, lambda _: None)
    for typed in (("--partial",), ("--partial", "--metric", "ratio")):
        done = before_torch(SCRIPT, "none", *typed)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.endswith("no run has a result yet, so there is nothing to compare.\n")
    shutil.rmtree(sweeps / "none")


def test_a_near_name_is_a_sweeps(before_torch, project: Path, sweeps: Path) -> None:
    """A folder without a sweep or run, such as data/, is not meant."""
    assert (project / "data").is_dir()
    write_sweep(sweeps / "a", {"seed": ["0"]}, lambda _: result(0.5))
    for typed in ("aa", "daa"):
        said = before_torch(SCRIPT, typed).stderr
        assert "Did you mean data?" not in said
        assert ("Did you mean a?" in said) == (typed == "aa")
    shutil.rmtree(sweeps / "a")


def test_the_newest_sweeps_are_named(before_torch, sweeps: Path) -> None:
    """Eight of them, and how many more there are."""
    for number in range(9):
        write_sweep(sweeps / f"s{number}", {"seed": ["0"]}, lambda given: result(0.5))
    try:
        found = len([*sweeps.glob("*/sweep.yaml")])
        said = before_torch(SCRIPT).stderr
        assert re.fullmatch(rf"error: no sweep given\. The newest are (\w+, ){{7}}\w+ and {found - 8} more\.\n", said)
    finally:
        for number in range(9):
            shutil.rmtree(sweeps / f"s{number}")


def test_the_examples_of_the_help_match_something(before_torch, command, project: Path) -> None:
    """Runs are made where the last example looks for them."""
    pattern = re.search(r"logs/runs\S+", before_torch(SCRIPT, "--help").stdout)
    tiny = ("data=xor", "model.hidden=[4]", "trainer=cpu", "trainer.max_epochs=1", "probe=none")
    assert command("train.py", *tiny).returncode == 0
    assert pattern
    year = f"{datetime.now().year}"
    found = [str(path.relative_to(project)) for path in project.glob(pattern[0].replace("2026", year))]
    assert found
    assert before_torch(SCRIPT, *found).returncode == 0


def test_a_group_without_a_result(before_torch, sweeps: Path) -> None:
    """It has no mean, and no test is corrected for it."""

    def lost(given: Given) -> dict | None:
        return result(None, status="failed", error="no") if given["activation"] == "gelu" else outcome(given)

    write_sweep(sweeps / "lost", {"activation": ["relu", "tanh", "gelu"], "seed": SEEDS}, lost)
    done = before_torch(SCRIPT, "lost", "--partial", "--against", "activation=relu")
    assert done.returncode == 0
    assert "nan" not in done.stdout
    assert "corrected by Holm for 1 comparison." in done.stdout
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["tanh", "+0.5", "+0.5", "to", "+0.5", "6", "0.03125", "0.03125", "higher"] in rows
    assert ["gelu", "-", "-", "0", "-", "-", "not", "shown"] in rows
    assert "too small" not in done.stdout


@pytest.mark.parametrize(("typed", "message"), WRONG, ids=lambda text: text[:40])
def test_wrong_input(before_torch, project: Path, sweeps: Path, typed: str, message: str) -> None:
    before = tree(project)
    done = before_torch(SCRIPT, *typed.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
    assert tree(project) == before


def test_damaged_files(before_torch, project: Path, tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text("jobs: [")
    assert before_torch(SCRIPT, str(tmp_path)).stderr.endswith("sweep.yaml: damaged (ParserError).\n")
    write_sweep(tmp_path, {"seed": ["0", "1"]}, lambda given: result(0.5) if given["seed"] == "0" else "{")
    done = before_torch(SCRIPT, str(tmp_path))
    going_on = (
        f"of 2 jobs 1 missing (the result.json of 1 is damaged); go on with {COMMAND} hydra.sweep.dir={tmp_path}, or add"
    )
    assert (done.returncode, going_on in done.stderr) == (2, True)
    (tmp_path / "0-job/overrides.yaml").write_text("a: [")
    done = before_torch(SCRIPT, str(tmp_path / "0-job"))
    assert (done.returncode, "overrides.yaml: damaged (ParserError)." in done.stderr) == (2, True)


@pytest.mark.parametrize("columns", [60, 80])
def test_no_line_is_wider_than_the_terminal(start, project: Path, sweeps: Path, columns: int) -> None:
    """Columns that do not fit are named; many keys share a column, so that the metric is always there."""
    keys = [f"optimizer.a_long_key_{k}" for k in range(4)]
    axes = {key: [f"{k}.1234567", "1"] for k, key in enumerate(keys)} | {"seed": ["0"]}
    write_sweep(sweeps / "wide", axes, lambda given: result(0.5))
    for name, base in (("made", "activation=relu"), ("wide", f"{keys[0]}=1")):
        screen, code = on_terminal(start, columns, SCRIPT, name, "--against", base)
        assert code == 0
        assert not screen.broken, screen.lines
        text = "\n".join(screen.lines)
        assert "test/accuracy" in text.split("\n\n")[0].split("all.")[1]
        assert "not shown" in text
        assert "\u2026" not in text
    assert "(left out in" in text


def test_a_sweep_that_was_run(command, project: Path, sweeps: Path) -> None:
    """What `train.py -m` leaves is compared as it stands."""
    common = ("data=xor", "model.hidden=[4]", "trainer=cpu", "trainer.max_epochs=1", "probe=none", "hydra/launcher=basic")
    made = command("train.py", "-m", "seed=0,1", "activation=relu,tanh", "sweep.name=real", *common)
    assert made.returncode == 0, made.stderr
    done = command(SCRIPT, "real", "--format", "json", "--against", "activation=relu")
    found = json.loads(done.stdout)
    results = [json.loads(path.read_text()) for path in (sweeps / "real").glob("*/result.json")]
    assert len(results) == 4
    for group in found["groups"]:
        own = [r["metrics"]["test/accuracy"] for r in results if r["choices"]["activation"] == group["values"]["activation"]]
        assert group["mean"] == pytest.approx(sum(own) / 2)
    assert found["against"]["comparisons"][0]["n"] == 2


def test_a_thousand_runs_in_little_memory(project: Path, tmp_path: Path) -> None:
    """In a process of its own, because the largest of all children would count here."""
    rng = np.random.default_rng(0)
    profile = [{"layer": f"hidden_{k:02}", **{name: float(rng.random()) for name in "abcdefgh"}} for k in range(20)]
    choices = dict.fromkeys(("data", "model", "init", "norm", "loss", "optimizer", "schedule", "probe"), "usual")
    axes = {
        "activation": [f"a{k}" for k in range(10)],
        "optimizer.lr": [str(0.1 / 2**k) for k in range(5)],
        "seed": [str(k) for k in range(20)],
    }
    write_sweep(
        tmp_path / "large",
        axes,
        lambda given: result(float(rng.random()), choices=choices, profile=profile, profile_end=profile, theory=profile),
        fixed=["data=xor", "model.hidden=[64,64]", "trainer=cpu"],
    )
    measured = (
        "import resource, subprocess, sys, time\nbegun = time.monotonic()\n"
        "done = subprocess.run([sys.executable, *sys.argv[1:]], capture_output=True, text=True, check=True)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, time.monotonic() - begun)\nprint(done.stdout)"
    )
    asked = ("-c", measured, SCRIPT, str(tmp_path / "large"), "--against", "activation=a0", "--format", "json")
    done = ended(fresh_process(*asked, folder=project, environment=environment(project)))
    assert done.returncode == 0, done.stderr
    first, _, text = done.stdout.partition("\n")
    found = json.loads(text)
    assert (found["runs"], len(found["groups"]), len(found["against"]["comparisons"])) == (1000, 50, 45)
    assert {arm["n"] for arm in found["against"]["comparisons"]} == {20}
    kilobytes = float(first.split()[0]) / (1024 if sys.platform == "darwin" else 1)
    assert kilobytes < 500_000
    print(f"1,000 runs: {kilobytes / 1000:.0f} MB, {float(first.split()[1]):.2f} s")


def test_nothing_heavy_is_imported(project: Path, sweeps: Path) -> None:
    code = (
        f"import runpy, sys\nsys.argv = [{SCRIPT!r}, 'made', '--against', 'activation=relu']\n"
        f"runpy.run_path({SCRIPT!r}, run_name='__main__')\n"
        "print({'torch', 'lightning', 'hydra', 'omegaconf', 'scipy', 'pandas', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project, env=os.environ | environment(project), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("set()\n")


def test_a_sweep_at_work_is_not_to_be_begun_again(before_torch, project: Path, sweeps: Path) -> None:
    with hold(sweeps / "half", "sweep.name"):
        done = before_torch(SCRIPT, "half")
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(
        r"error: logs/sweeps/half: of 18 jobs 2 missing and 1 failed; .*process \d+.* is at work in it: wait for its end, "
        r"or add --partial to compare what there is\.\n",
        done.stderr,
    ), done.stderr


def test_a_job_that_was_ended_from_outside(before_torch, sweeps: Path) -> None:
    """It is counted by the word that the sweep's own end uses, and goes on without being called a failure."""

    def killed(given: Given) -> dict:
        more = {"status": "failed", "interrupted": True, "error": "the process was ended by SIGKILL"}
        return result(None, **more) if given["seed"] == "1" else result(0.5)

    write_sweep(sweeps / "killed", {"seed": ["0", "1", "2"]}, killed)
    said = before_torch(SCRIPT, "killed").stderr
    assert said.startswith("error: logs/sweeps/killed: of 3 jobs 1 ended from outside; go on with ")
    assert "sweep.retry" not in said
    partial = before_torch(SCRIPT, "killed", "--partial", "--format", "csv")
    assert partial.stdout.splitlines()[0].count("ended from outside") == 1
    assert "Not averaged: 1-job (ended from outside)." in partial.stderr


def test_means_over_different_runs_are_told(before_torch, sweeps: Path) -> None:
    def some(given: Given) -> dict | None:
        return None if (given["activation"], given["init"]) == ("tanh", "he_normal") else result(0.5)

    write_sweep(
        sweeps / "uneven", {"activation": ["relu", "tanh"], "init": ["he_normal", "orthogonal"], "seed": ["0", "1"]}, some
    )
    told = "The means are not over the same init: activation=tanh lacks init=he_normal."
    assert told in before_torch(SCRIPT, "uneven", "--partial", "--by", "activation", "--format", "markdown").stdout
    assert "not over the same" not in before_torch(SCRIPT, "uneven", "--partial", "--format", "markdown").stdout
    assert "not over the same" not in before_torch(SCRIPT, "half", "--partial", "--format", "markdown").stdout
