"""What becomes of a plan with another command."""

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from gradpath.errors import ConfigError
from gradpath.sweep.growth import extended
from gradpath.sweep.plan import Plan, Planned, read_plan, write_plan
from gradpath.sweep.typed_values import meaning

OLD = """\
command: python train.py -m seed=0
threads: 1
jobs:
- {number: 0, name: '0', overrides: [seed=0], varied: {}, config: a, code: b}
"""


def asked(axes: Mapping[str, Sequence[str]], defaults: str = "", code: str = "code") -> list[Planned]:
    """The jobs of a command line. Their configuration is what they mean, and the defaults."""
    found = []
    for number, values in enumerate(product(*axes.values())):
        overrides = [f"{key}={value}" for key, value in zip(axes, values, strict=True)]
        meant = sorted(
            (key, float(value) if key != "activation" else value) for key, value in zip(axes, values, strict=True)
        )
        found.append(Planned(number, "", overrides, {}, f"{meant}{defaults}", code))
    return found


def grown(
    old: Plan | None, typed: Sequence[Planned], command: str, last: int = -1, lasting: Collection[int] = ()
) -> tuple[Plan, list[str]]:
    """The plan, and the names of the jobs that were typed."""
    plan, numbers = extended(old, typed, command, 2, last, lasting)
    names = {job.number: job.name for job in plan.jobs}
    return plan, [names[numbers[job.number]] for job in typed]


def test_jobs_are_named_and_vary_over_all_commands() -> None:
    first, names = grown(None, asked({"activation": ["relu", "tanh"], "seed": ["0"]}), "one")
    assert names == ["0-relu", "1-tanh"]
    second, names = grown(first, asked({"activation": ["gelu"], "seed": ["0"]}), "two")
    assert names == ["2-gelu"]
    third, names = grown(second, asked({"activation": ["gelu"], "seed": ["0", "1"]}), "three")
    assert names == ["2-gelu", "3-gelu-s1"]
    assert [job.varied for job in third.jobs] == [
        {"activation": "relu", "seed": "0"}, {"activation": "tanh", "seed": "0"},
        {"activation": "gelu", "seed": "0"}, {"activation": "gelu", "seed": "1"},
    ]  # fmt: skip
    assert (third.commands, [job.command for job in third.jobs]) == (("one", "three"), [0, 0, 1, 1])


def test_a_command_that_adds_nothing_is_not_kept() -> None:
    first, _ = grown(None, asked({"seed": ["0", "1", "2"]}), "one")
    for axes in ({"seed": ["1"]}, {"seed": ["2", "0", "1"]}, {"seed": ["1.0"]}):
        again, names = grown(first, asked(axes), "two")
        assert again == first
        assert {*names} <= {"0-s0", "1-s1", "2-s2"}


def test_a_key_that_one_command_does_not_name_differs() -> None:
    first, _ = grown(None, asked({"seed": ["0", "1"]}), "one")
    second, names = grown(first, asked({"optimizer.lr": ["0.1"], "seed": ["0", "1"]}), "two")
    assert names == ["2-lr0.1-s0", "3-lr0.1-s1"]
    assert [job.varied.get("optimizer.lr") for job in second.jobs] == [None, None, "0.1", "0.1"]


def test_jobs_that_last_keep_their_places_with_other_code() -> None:
    first, _ = grown(None, asked({"seed": ["0", "1", "2"]}), "one")
    second, names = grown(first, asked({"seed": ["0", "1", "2", "3"]}, code="new"), "two", lasting={0, 2, 7})
    assert names == ["0-s0", "3-s1", "2-s2", "4-s3"]
    assert [job.name for job in second.former] == ["1-s1"]
    # Another configuration is another job, whatever lasts.
    third, names = grown(second, asked({"seed": ["0"]}, "lr 0.2"), "three", lasting={0})
    assert names == ["5-s0"]
    assert [job.name for job in third.former] == ["1-s1", "0-s0"]


def test_a_default_that_is_changed_and_changed_back() -> None:
    """The first jobs, whose results are still there, take their places again."""
    typed = {"seed": ["0", "1"]}
    first, names = grown(None, asked(typed, "lr 0.1"), "one")
    second, others = grown(first, asked(typed, "lr 0.2"), "one")
    assert others == ["2-s0", "3-s1"]
    assert [job.name for job in second.former] == names
    third, back = grown(second, asked(typed, "lr 0.1"), "one")
    assert back == names
    assert [job.name for job in third.former] == others
    fourth, _ = grown(third, asked({"seed": ["0", "1", "2"]}, "lr 0.7"), "one")
    assert [job.number for job in fourth.jobs] == [4, 5, 6]


def test_a_default_that_is_typed_after_the_code_has_changed() -> None:
    """The same configuration in other words takes the place of the old one, so that no seed counts twice."""
    first, _ = grown(None, asked({"seed": ["0", "1"]}), "one")
    named = [
        replace(job, overrides=[*job.overrides, "optimizer.lr=0.001"], code="new") for job in asked({"seed": ["0", "1"]})
    ]
    second, names = grown(first, named, "two")
    assert [job.name for job in second.jobs] == names == ["2-s0", "3-s1"]
    assert [job.number for job in second.former] == [0, 1]


@pytest.mark.parametrize("text", ["2024-13-45", "0x_", "{2001-01-01: 1}", "[" * 2000, "9" * 5000, "a: b: c", "*x", ""])
def test_any_text_means_something(text: str) -> None:
    """What YAML cannot build is a text; it means what the same text means, and nothing else."""
    assert meaning(text) == meaning(text)
    assert meaning(text) != meaning(f"{text}x")


def test_texts_that_mean_the_same() -> None:
    for one, other in (("0.1", "1e-1"), ("[8,8]", "[8, 8]"), ("{a: 1e-3}", "{a: 0.001}"), ("True", "true")):
        assert meaning(one) == meaning(other)


def test_no_number_is_given_twice() -> None:
    """Commands, defaults and code drawn by a seed. Each job that ever was keeps its number, and has it alone."""
    for seed in range(200):
        draw = random.Random(seed)
        plan: Plan | None = None
        owner: dict[int, tuple[str, str]] = {}
        for step in range(8):
            axes = {
                "seed": draw.sample(["0", "1", "2", "1e0", "2.0"], 2),
                "optimizer.lr": draw.sample(["0.1", "1e-1", "0.2"], 2),
            }
            typed = asked(dict(draw.sample([*axes.items()], 2)), draw.choice(["", "x"]), draw.choice(["old", "new"]))
            plan, numbers = extended(plan, typed, f"command {step}", 1, -1)
            jobs = {job.number: job for job in plan.jobs}
            assert len(jobs) == len(plan.jobs)
            for job in (*plan.jobs, *plan.former):
                assert owner.setdefault(job.number, (job.config, job.code)) == (job.config, job.code)
            for job in typed:
                assert (jobs[numbers[job.number]].config, jobs[numbers[job.number]].code) == (job.config, job.code)
            assert len({job.config + job.code for job in (*plan.jobs, *plan.former)}) == len(owner)
            # Every command that is kept is needed, and no two current jobs mean the same.
            assert {job.command for job in plan.jobs} == {*range(len(plan.commands))}
            assert len({job.config.removesuffix("x") for job in plan.jobs}) == len(plan.jobs)


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    first, _ = grown(None, asked({"seed": ["0", "1"]}, "a"), "one")
    plan, _ = grown(first, asked({"seed": ["0"], "activation": ["relu"]}), "two 'with a quote'")
    plan, _ = grown(plan, asked({"seed": ["0", "1"]}, "b"), "three")
    assert plan.former
    for one in (plan, replace(plan, search=("seed=range(0,3)",))):
        write_plan(tmp_path, one)
        assert read_plan(tmp_path) == one


def test_a_plan_of_version_0_1(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(OLD)
    plan = read_plan(tmp_path)
    assert plan == Plan(("python train.py -m seed=0",), 1, (Planned(0, "0", ["seed=0"], {}, "a", "b"),))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("number: 0", "number: x"), ("number: 0", "number: true"), ("number: 0", "number: -1"), ("name: '0'", "name: ../0"),
        ("name: '0'", "name: [0]"), ("varied: {}", "varied: [a]"), ("varied: {}", "varied: {a: 1}"), ("[seed=0]", "seed"),
        ("[seed=0]", "[{a: b}]"), ("config: a", "config: 1"), ("threads: 1", "threads: 0"), ("threads: 1", "threads: many"),
        ("code: b}", "code: b, command: 1}"), ("code: b}", "code: b, command: -1}"), ("code: b}", "code: b, more: 1}"),
        ("code: b}\n", "code: b}\n- {number: 0, name: '0-a', overrides: [], varied: {}, config: c, code: b}\n"),
        ("code: b}\n", "code: b}\n- {number: 1, name: '0', overrides: [], varied: {}, config: c, code: b}\n"),
        ("command: python train.py -m seed=0", "commands: []"), ("command: python train.py -m seed=0", "commands: [1]"),
        ("command: python train.py -m seed=0", "x: y"), ("jobs:", "search: 1\njobs:"), ("jobs:", "job:"),
    ],
)  # fmt: skip
def test_a_plan_that_we_never_write(tmp_path: Path, old: str, new: str) -> None:
    assert old in OLD
    (tmp_path / "sweep.yaml").write_text(OLD.replace(old, new))
    with pytest.raises(ConfigError, match=r"sweep\.yaml: damaged"):
        read_plan(tmp_path)
