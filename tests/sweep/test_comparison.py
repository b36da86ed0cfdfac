"""Groups and differences of sweeps whose numbers are drawn, against the same computed from the drawn numbers."""

import json
import math
import re
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from conftest import Command
from finished_sweeps import Given, result, write_run, write_sweep
from gradpath.errors import ConfigError
from gradpath.sweep.against import Arm, split
from gradpath.sweep.collecting import collect
from gradpath.sweep.compared import Comparison, compared
from gradpath.sweep.comparison import Group
from gradpath.sweep.plan import read_plan, write_plan
from gradpath.sweep.tabulated import as_csv, group_table, json_text

AXES = {"activation": ["relu", "tanh", "gelu"], "optimizer.lr": ["0.1", "1e-2", "10"], "seed": ["3", "1", "20", "7"]}
DRAWS = range(6)


class Drawn:
    """A sweep whose accuracies, statuses and classes are drawn; what was drawn is kept by what the job was given."""

    def __init__(self, folder: Path, seed: int, lost: float = 0.0, axes: Any = AXES, shift: float = 0.0) -> None:
        self.rng, self.lost, self.shift = np.random.default_rng(seed), lost, shift
        self.drawn: dict[tuple[str, ...], tuple[str, float, str]] = {}
        self.folder = folder
        write_sweep(folder, axes, self.outcome)

    def outcome(self, given: Given) -> Any:
        statuses = ["ok", "diverged", "failed", "missing"]
        status = self.rng.choice(statuses, p=[1 - self.lost, *[self.lost / 3] * 3])
        value = float(self.rng.normal(self.shift * (given["activation"] == "tanh"), 1))
        kind = str(self.rng.choice(["healthy", "vanishing"]))
        self.drawn[tuple(given.values())] = (str(status), value, kind)
        if status == "missing":
            return None
        found = result(value, status=str(status), verdict={"class": kind, "ratio": 2 * value, "findings": []})
        found["metrics"]["test/loss"] = abs(value)
        return found

    def of(self, **wanted: str) -> list[tuple[str, float, str]]:
        names = [name.replace("_", ".") for name in wanted]
        places = [list(AXES).index("optimizer.lr" if name == "lr" else name) for name in names]
        found = self.drawn.items()
        return [value for key, value in found if [key[place] for place in places] == [*wanted.values()]]

    def compared(self, **asked: str) -> Comparison:
        usual: dict[str, str | None] = dict.fromkeys(("metric", "by", "sort", "against"))
        return compared(collect([str(self.folder)])[0], **usual | asked)


def agrees(group: Any, drawn: list[tuple[str, float, str]], times: float = 1.0) -> None:
    """A group has the mean, the deviation and the counts of what was drawn for it."""
    numbers = [times * value for status, value, _ in drawn if status == "ok"]
    assert group.n == len(numbers)
    assert group.mean == (pytest.approx(statistics.fmean(numbers)) if numbers else None)
    assert group.std == (pytest.approx(statistics.stdev(numbers)) if len(numbers) > 1 else None)
    for status in ("diverged", "failed", "missing"):
        assert group.count(status) == sum(found == status for found, _, _ in drawn)
    classes = [kind for status, _, kind in drawn if status != "missing"]
    assert dict(group.verdicts) == {kind: classes.count(kind) for kind in {*classes}}
    assert group.seconds == pytest.approx(2.5 * len(classes))


@pytest.mark.parametrize("seed", DRAWS)
def test_groups_have_the_means_and_deviations_of_their_runs(tmp_path: Path, seed: int) -> None:
    sweep = Drawn(tmp_path / "drawn", seed, lost=0.4)
    found = sweep.compared()
    assert found.by == ["activation", "optimizer.lr"]
    assert found.over == ["seed"]
    assert len(found.groups) == 9
    for group in found.groups:
        agrees(group, sweep.of(activation=group.values["activation"], lr=group.values["optimizer.lr"]))
    by_one = sweep.compared(by="activation", metric="ratio")
    assert by_one.over == ["seed", "optimizer.lr"]
    for group in by_one.groups:
        agrees(group, sweep.of(activation=group.values["activation"]), times=2)
    lost = [cell.name for cell in found.cells if cell.status != "ok"]
    (note,) = [note for note in found.notes if note.startswith("Not averaged")] or [""]
    assert all(f"{name} (" in note for name in lost)
    assert note.count("-job (") == len(lost)


def test_groups_come_in_order(tmp_path: Path) -> None:
    sweep = Drawn(tmp_path / "drawn", 0)
    means = [group.mean for group in sweep.compared().groups]
    assert means == sorted(means, reverse=True)
    losses = [group.mean for group in sweep.compared(metric="test/loss").groups]
    assert losses == sorted(losses)
    rates = [group.values["optimizer.lr"] for group in sweep.compared(sort="optimizer.lr").groups]
    assert rates == [*["1e-2"] * 3, *["0.1"] * 3, *["10"] * 3]
    names = [group.values["activation"] for group in sweep.compared(sort="activation").groups]
    assert names == sorted(names)
    seeds = [group.values["seed"] for group in sweep.compared(by="seed", sort="seed").groups]
    assert seeds == ["1", "3", "7", "20"]
    deviations = [group.std for group in sweep.compared(sort="std").groups]
    assert deviations == sorted(deviations)


def test_a_group_without_a_number_comes_last(tmp_path: Path) -> None:
    def outcome(given: Given) -> Any:
        return result(0.5, status="diverged") if given["activation"] == "relu" else result(-1.0)

    write_sweep(tmp_path / "s", {"activation": ["relu", "tanh"], "seed": ["0", "1"]}, outcome)
    found = compared(collect([str(tmp_path / "s")])[0], None, None, None, None)
    assert [(group.values["activation"], group.mean, group.count("diverged")) for group in found.groups] == [
        ("tanh", -1.0, 0),
        ("relu", None, 2),
    ]
    assert found.notes == ["Not averaged: 0-job (diverged), 1-job (diverged)."]


@pytest.mark.parametrize("seed", DRAWS)
def test_differences_are_paired_by_seed(tmp_path: Path, seed: int) -> None:
    """Against a base in one key, the other key is the same on both sides; interval and test are scipy's."""
    sweep = Drawn(tmp_path / "drawn", seed, lost=0.3 * (seed % 2), shift=4.0)
    found = sweep.compared(against="activation=relu")
    assert len(found.arms) == 6
    pvalues = []
    for arm in found.arms:
        rate, own = arm.group.values["optimizer.lr"], arm.group.values["activation"]
        assert arm.base == {"activation": "relu", "optimizer.lr": rate}
        pairs = {s: (sweep.drawn[own, rate, s], sweep.drawn["relu", rate, s]) for s in AXES["seed"]}
        good = {s: a[1] - b[1] for s, (a, b) in pairs.items() if a[0] == b[0] == "ok"}
        assert arm.differences == pytest.approx(good)
        assert len(arm.unpaired) == len(AXES["seed"]) - len(good)
        for s, sides in pairs.items():
            named = [text for text in arm.unpaired if text.startswith(f"seed={s}:")]
            assert len(named) == (s not in good)
            for (status, _, _), name in zip(sides, (own, "relu"), strict=True):
                assert all((f"activation={name}, optimizer.lr={rate} (" in text) == (status != "ok") for text in named)
                assert all(status in text for text in named if status != "ok")
        d = [*good.values()]
        pvalues.append(permuted(d))
        assert arm.p == (pytest.approx(pvalues[-1]) if d else None)
        if len(d) > 1:
            drawn = stats.bootstrap((d,), np.mean, method="percentile", n_resamples=10_000, rng=np.random.default_rng(0))
            assert arm.interval == pytest.approx((drawn.confidence_interval.low, drawn.confidence_interval.high))
    assert [arm.n for arm in found.arms if arm.unpaired] == [arm.n for arm in found.arms if arm.n < 4]
    for own, arm in zip(range(6), found.arms, strict=True):
        smaller = [k for k in range(6) if pvalues[k] <= pvalues[own]]
        # An arm without a pair is no comparison.
        steps = [
            sum(p >= pvalues[k] and bool(a.n) for p, a in zip(pvalues, found.arms, strict=True)) * pvalues[k]
            for k in smaller
        ]
        assert arm.corrected == (pytest.approx(min(1.0, max(steps))) if arm.n else None)
        # Four pairs cannot come below 0.125.
        assert arm.says == "not shown"
        assert (arm.smallest is None) == (arm.n == 0)
        assert arm.smallest is None or arm.smallest >= 0.125


def permuted(d: list[float]) -> float:
    """The two-sided p of sign flips, by scipy; 1 with fewer than two pairs, whose opposite is as large."""
    if len(d) < 2:
        return 1.0
    return float(stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue)


@pytest.mark.parametrize("seed", DRAWS)
def test_what_is_shown(tmp_path: Path, seed: int) -> None:
    """With eight seeds a difference of four deviations is shown, with its direction; none of the others is by chance."""
    axes = {"activation": AXES["activation"], "seed": [str(k) for k in range(8)]}
    found = Drawn(tmp_path / "drawn", seed, axes=axes, shift=5.0).compared(against="activation=gelu")
    says = {arm.group.values["activation"]: arm.says for arm in found.arms}
    assert says["tanh"] == "higher"
    for arm in found.arms:
        low, high = arm.interval
        assert (arm.says == "not shown") == (low <= 0 <= high or arm.corrected > 0.05)
    other_way = Drawn(tmp_path / "other", seed, axes=axes, shift=5.0).compared(against="activation=tanh")
    assert {arm.says for arm in other_way.arms} == {"lower"}
    assert found.notes == []


def test_how_many_seeds_are_needed_is_said(tmp_path: Path) -> None:
    for arms, seeds, needed in (
        (2, 5, "6"),
        (2, 6, None),
        (3, 6, "7"),
        (4, 6, "7"),
        (4, 7, None),
        (5, 7, "8"),
        (5, 8, None),
    ):
        axes = {"activation": [f"a{k}" for k in range(arms)], "seed": [str(k) for k in range(seeds)]}
        found = Drawn(tmp_path / f"{arms}-{seeds}", 0, axes=axes).compared(against="activation=a0")
        said = [note for note in found.notes if "too small" in note]
        assert len(said) == (needed is not None)
        assert all(f"n = {seeds} is too small" in note and f"{needed} seeds are needed" in note for note in said)


@pytest.mark.parametrize("seed", DRAWS)
def test_runs_of_one_seed_are_one_pair(tmp_path: Path, seed: int) -> None:
    """By activation alone, partners have the same learning rate, and a seed's three differences are one."""
    sweep = Drawn(tmp_path / "drawn", seed, lost=0.3)
    found = sweep.compared(by="activation", against="activation=relu")
    assert any("seed and optimizer.lr" in note for note in found.notes)
    for arm in found.arms:
        own = arm.group.values["activation"]
        for seed in AXES["seed"]:
            sides = [(sweep.drawn[own, rate, seed], sweep.drawn["relu", rate, seed]) for rate in AXES["optimizer.lr"]]
            good = [a[1] - b[1] for a, b in sides if a[0] == b[0] == "ok"]
            assert (seed in arm.differences) == bool(good)
            assert not good or arm.differences[seed] == pytest.approx(statistics.fmean(good))
            named = [text for text in arm.unpaired if text.startswith(f"seed={seed}, optimizer.lr=")]
            assert len(named) == len(sides) - len(good)


@pytest.mark.parametrize(
    ("interval", "corrected", "mean", "says"),
    [
        ((0.1, 0.3), 0.05, 0.2, "higher"),
        ((-0.3, -0.1), 0.01, -0.2, "lower"),
        ((0.1, 0.3), 0.051, 0.2, "not shown"),
        ((0.0, 0.3), 0.01, 0.2, "not shown"),
        ((-0.3, 0.0), 0.01, -0.2, "not shown"),
        ((-0.1, 0.3), 0.01, 0.2, "not shown"),
        (None, 0.01, 0.2, "not shown"),
        (None, None, 0.2, "not shown"),
    ],
)
def test_both_the_interval_and_the_test_have_to_show_it(interval: Any, corrected: Any, mean: float, says: str) -> None:
    assert Arm(Group({}, []), {}, {"0": mean}, [], interval, corrected, corrected).says == says


def test_a_base_in_all_keys(tmp_path: Path) -> None:
    sweep = Drawn(tmp_path / "drawn", 4)
    found = sweep.compared(against="activation=relu,optimizer.lr=0.01")
    assert len(found.arms) == 8
    for arm in found.arms:
        assert arm.base == {"activation": "relu", "optimizer.lr": "1e-2"}
        rate, own = arm.group.values["optimizer.lr"], arm.group.values["activation"]
        assert arm.differences["20"] == pytest.approx(sweep.drawn[own, rate, "20"][1] - sweep.drawn["relu", "1e-2", "20"][1])


def test_keys_that_change_together(tmp_path: Path) -> None:
    """As with sweep.zip: each activation has its own initialisation, so that by activation both are compared."""
    folder = tmp_path / "zipped"
    pairs = {"relu": "he_normal", "tanh": "xavier_normal"}
    write_sweep(folder, {"activation": ["relu", "tanh"], "seed": ["0", "1"]}, lambda given: result(float(given["seed"])))
    text = (folder / "sweep.yaml").read_text()
    for activation, init in pairs.items():
        text = text.replace(f"    activation: {activation}\n", f"    activation: {activation}\n    init: {init}\n")
    (folder / "sweep.yaml").write_text(text)
    runs = collect([str(folder)])[0]
    found = compared(runs, None, "activation", None, "activation=relu")
    assert found.along == ["init"]
    assert found.over == ["seed"]
    assert found.arms[0].differences == {"0": 0, "1": 0}
    assert found.notes[0] == "init changes from group to group, too: what is compared is both."
    with pytest.raises(ConfigError, match=r"no group has a partner .* such as activation=relu,init=he_normal, or make"):
        compared(runs, None, None, None, "activation=relu")
    assert compared(runs, None, None, None, "activation=relu,init=he_normal").arms[0].n == 2


def test_a_run_without_the_metric_is_named(tmp_path: Path) -> None:
    numbers = {"0": 1.0, "1": None, "2": "inf", "3": 3.0}
    write_sweep(tmp_path / "s", {"seed": [*numbers]}, lambda given: result(numbers[given["seed"]]))
    found = compared(collect([str(tmp_path / "s")])[0], None, None, None, None)
    (group,) = found.groups
    assert (group.mean, group.n, group.label) == (2, 2, "all runs")
    assert found.notes == ["Not averaged: 1-job (no test/accuracy), 2-job (test/accuracy is inf)."]


def test_several_sweeps_agree_on_what_their_runs_were_given(tmp_path: Path) -> None:
    """A key that one sweep typed is compared with the option or the value that the other one's runs had."""
    typed_by_none = {"data": "xor", "loss": "auto"}
    write_sweep(
        tmp_path / "a",
        {"activation": ["relu", "tanh"], "seed": ["0", "1"]},
        lambda given: result(0.5, choices=typed_by_none | {"activation": given["activation"]}),
    )
    write_sweep(
        tmp_path / "b",
        {"optimizer.lr": ["0.5", "2e-3"], "seed": ["0", "1"]},
        lambda given: result(0.7, choices=typed_by_none | {"activation": "relu"}),
    )
    for run in (tmp_path / "a").glob("*-job"):
        (run / "config.yaml").write_text("optimizer: {lr: 0.002}\nseed: 9\n")
    found = compared(collect([str(tmp_path / name) for name in "ab"])[0], None, "activation,optimizer.lr", None, None)
    cells = {(g.values["activation"], g.values["optimizer.lr"]): (g.n, g.mean) for g in found.groups}
    # The first text of a value stands for all.
    assert cells == {
        ("relu", "0.002"): (4, pytest.approx(0.6)),
        ("tanh", "0.002"): (2, 0.5),
        ("relu", "0.5"): (2, 0.7),
    }
    # relu with 0.002 is in both sweeps: without --by it stays two groups, so that no run counts twice.
    apart = compared(collect([str(tmp_path / name) for name in "ab"])[0], None, None, None, None)
    assert apart.by == ["activation", "optimizer.lr", "folder"]
    assert [group.n for group in apart.groups] == [2, 2, 2, 2]


def test_a_missing_run_counts_with_what_the_others_of_its_sweep_were_given(tmp_path: Path) -> None:
    """It has left no options and no configuration. Its sweep typed neither the optimiser nor, in one case, the seed."""
    for name, optimizer, lost in (("a", "adam", "tanh"), ("b", "sgd", "relu")):
        write_sweep(
            tmp_path / name,
            {"activation": ["relu", "tanh", "gelu"]},
            lambda given, o=optimizer, lost=lost: (
                None if given["activation"] == lost else result(0.5, seed=4, choices={"optimizer": o, **given})
            ),
        )
    found = compared(collect([str(tmp_path / name) for name in "ab"])[0], None, None, None, "optimizer=sgd")
    assert found.by == ["activation", "optimizer"]
    assert {group.label: (group.n, group.count("missing")) for group in found.groups} == {
        f"activation={a}, optimizer={o}": (int((a, o) not in lost), int((a, o) in lost))
        for lost in [[("tanh", "adam"), ("relu", "sgd")]]
        for a in ("relu", "tanh", "gelu")
        for o in ("adam", "sgd")
    }
    unpaired = {arm.group.values["activation"]: [*arm.unpaired] for arm in found.arms}
    assert unpaired == {
        "gelu": [],
        "relu": ["seed=4: activation=relu, optimizer=sgd (0-job) is missing"],
        "tanh": ["seed=4: activation=tanh, optimizer=adam (1-job) is missing"],
    }


def test_the_same_sweep_before_and_after_a_change(tmp_path: Path) -> None:
    axes = {"activation": ["relu", "tanh"], "seed": [str(k) for k in range(6)]}
    for name, by in (("before", 0.0), ("after", 1.0)):
        write_sweep(tmp_path / name, axes, lambda given, by=by: result(by + float(given["seed"])))
    found = compared(collect([str(tmp_path / name) for name in ("before", "after")])[0], None, None, None, "folder=before")
    assert found.by == ["activation", "folder"]
    assert [(arm.group.values["folder"], arm.mean, arm.n) for arm in found.arms] == [("after", 1.0, 6)] * 2


def test_more_seeds_in_another_sweep_are_the_same_groups(tmp_path: Path) -> None:
    for name, seeds in (("first", "01"), ("more", "23")):
        axes = {"activation": ["relu", "tanh"], "seed": [*seeds]}
        write_sweep(tmp_path / name, axes, lambda given: result(float(given["seed"])))
    found = compared(collect([str(tmp_path / name) for name in ("first", "more")])[0], None, None, None, None)
    assert found.by == ["activation"]
    assert [group.n for group in found.groups] == [4, 4]
    by_folder = compared(collect([str(tmp_path / name) for name in ("first", "more")])[0], None, "folder", None, None)
    assert {group.values["folder"]: group.mean for group in by_folder.groups} == {"first": 0.5, "more": 2.5}


def test_a_sweep_typed_twice_counts_once(tmp_path: Path) -> None:
    sweep = Drawn(tmp_path / "drawn", 1)
    typed = [str(sweep.folder), f"{sweep.folder}/", str(sweep.folder / "0-job")]
    assert len(collect(typed)[0]) == 36


def test_run_folders(tmp_path: Path) -> None:
    drawn = np.random.default_rng(8).random((2, 3))
    for k, activation in enumerate(("relu", "tanh")):
        for seed in range(3):
            folder = tmp_path / f"{activation}-{seed}"
            write_run(folder, result(drawn[k, seed], seed=seed, choices={"activation": activation}))
            if activation == "tanh":
                (folder / "overrides.yaml").write_text(f"- activation=tanh\n- seed={seed}\n- resume=x\n")
    found = compared(collect([str(path) for path in sorted(tmp_path.iterdir())])[0], None, None, None, "activation=relu")
    assert found.by == ["activation"]
    assert {group.values["activation"]: group.mean for group in found.groups} == pytest.approx(
        {"relu": drawn[0].mean(), "tanh": drawn[1].mean()}
    )
    assert [*found.arms[0].differences.values()] == pytest.approx([*(drawn[1] - drawn[0])])


def test_a_sweep_that_was_extended_by_another_command(tmp_path: Path) -> None:
    """The later command did not vary the activation: what it typed counts all the same."""
    write_sweep(tmp_path / "s", {"activation": ["relu", "tanh"], "seed": ["0", "1"]}, lambda given: result(1.0))
    text = (tmp_path / "s/sweep.yaml").read_text()
    assert text.count("    activation: tanh\n") == 2
    (tmp_path / "s/sweep.yaml").write_text(text.replace("    activation: tanh\n", ""))
    found = compared(collect([str(tmp_path / "s")])[0], None, None, None, None)
    assert {group.values["activation"]: group.n for group in found.groups} == {"relu": 2, "tanh": 2}


def test_versions_of_the_code_are_told(tmp_path: Path) -> None:
    """Of the code, and of a user's package; a job that names a package has other code than one that does not."""
    write_sweep(tmp_path / "s", {"activation": ["relu", "mine"], "seed": ["0", "1"]}, lambda given: result(1.0))
    plan = read_plan(tmp_path / "s")
    for codes, versions in (("aabb", 1), ("aabc", 2), ("abcc", 2), ("abbc", 2)):
        packages = [[], [], ["mylab"], ["mylab"]]
        jobs = [replace(job, code=c, packages=p) for job, c, p in zip(plan.jobs, codes, packages, strict=True)]
        write_plan(tmp_path / "s", replace(plan, jobs=tuple(jobs)))
        notes = compared(collect([str(tmp_path / "s")])[0], None, None, None, None).notes
        assert ("The runs were made by 2 versions of the code." in notes) == (versions == 2)


def test_lists_in_values(tmp_path: Path) -> None:
    assert split("model.hidden=[64,64],init='a,b',x=1") == ["model.hidden=[64,64]", "init='a,b'", "x=1"]
    axes = {"model.hidden": ["[8,8]", "[16]"], "seed": ["0", "1"]}
    write_sweep(tmp_path / "s", axes, lambda given: result(float(given["seed"])))
    found = compared(collect([str(tmp_path / "s")])[0], None, None, None, "model.hidden=[8, 8]")
    assert [arm.group.values["model.hidden"] for arm in found.arms] == ["[16]"]


def test_nothing_differs(tmp_path: Path) -> None:
    write_sweep(tmp_path / "s", {"seed": ["0"]}, lambda given: result(0.25))
    found = compared(collect([str(tmp_path / "s")])[0], None, None, None, None)
    assert [(group.mean, group.std, group.n) for group in found.groups] == [(0.25, None, 1)]
    assert math.isclose(found.seconds, 2.5)


def test_the_best_trials_of_a_search(before_torch: Command, tmp_path: Path) -> None:
    """By the objective, in its direction; with four digits, or as many as tell values apart."""
    values = [repr(0.1 + k / 3) for k in range(28)] + ["1.2345678901", "1.2345678902"]
    write_sweep(tmp_path / "s", {"optimizer.lr": values}, lambda given: result(0.5, parameters=float(given["optimizer.lr"])))
    plan = read_plan(tmp_path / "s")
    for direction, first in (("minimize", "0.1"), ("maximize", "9.1")):
        typed = ("optimizer.lr=interval(0,10)", "sweep.objective=verdict.ratio", f"hydra.sweeper.direction={direction}")
        write_plan(tmp_path / "s", replace(plan, search=typed))
        for job in plan.jobs:
            ratio = float(job.varied["optimizer.lr"])
            write_run(tmp_path / "s" / job.name, result(0.5, verdict={"class": "healthy", "ratio": ratio}))
        done = before_torch("scripts/compare.py", str(tmp_path / "s"))
        assert (done.returncode, done.stderr) == (0, "")
        rows = [line.split() for line in done.stdout.splitlines() if re.match(r"^ +[\d.]+ ", line)]
        assert len(rows) == 10
        assert rows[0][:2] == [first, first]
        assert "The best 10 of 30 are shown; --format csv lists all" in done.stdout
        assert before_torch("scripts/compare.py", str(tmp_path / "s"), "--format", "csv").stdout.count("\n") == 31
        by = before_torch("scripts/compare.py", str(tmp_path / "s"), "--by", "optimizer.lr").stdout
        assert "1.2345678901" in by
        assert "1.2345678902" in by


def test_all_objectives_of_a_search_are_columns(tmp_path: Path) -> None:
    write_sweep(tmp_path, {"optimizer.lr": ["0.1", "0.2"]}, lambda given: result(float(given["optimizer.lr"])))
    plan = read_plan(tmp_path)
    typed = ("sweep.objective=metrics.test/loss,metrics.test/accuracy", "hydra.sweeper.direction=minimize,maximize")
    write_plan(tmp_path, replace(plan, search=typed))
    runs = collect([str(tmp_path)])[0]
    found = compared(runs, None, None, None, None)
    header, rows = group_table(found)
    assert header[:3] == ["optimizer.lr", "test/loss", "test/accuracy"]
    assert [row[:3] for row in rows] == [["0.1", "0.5", "0.1"], ["0.2", "0.5", "0.2"]]
    assert as_csv(found).splitlines()[1].startswith("0.1,0.5,0.1,")
    assert json.loads(json_text(found))["groups"][1]["test/accuracy"] == 0.2
    assert "test/accuracy" not in group_table(compared(runs, "test/loss", None, None, None))[0]


def test_no_pair_is_no_test(tmp_path: Path) -> None:
    """No sentence counts a comparison that had no data."""
    for lost, tests in (("gelu", 1), ("tanh gelu", 0)):

        def outcome(given: Given, lost: str = lost) -> Any:
            return result(None, status="diverged") if given["activation"] in lost.split() else result(0.5)

        folder = tmp_path / str(tests)
        write_sweep(folder, {"activation": ["relu", "tanh", "gelu"], "seed": ["0", "1"]}, outcome)
        found = compared(collect([str(folder)])[0], None, None, None, "activation=relu")
        assert ("corrected by Holm for 1 comparison." in found.method) == (tests == 1)
        assert ("no group has a pair, so nothing was tested" in found.method) == (tests == 0)
        assert "0 comparisons" not in f"{found.method} {found.notes}"
        assert json.loads(json_text(found))["against"]["tests"] == tests
