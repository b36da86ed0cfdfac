"""Every pair of settings of a run trains: trainer's keys, optimisers, schedules, probes and norms."""

import random
from collections.abc import Mapping, Sequence
from itertools import combinations

import pytest

from conftest import NORMS, Run
from gradpath.config.composition import CONF
from gradpath.config.schema import Trainer
from gradpath.errors import ConfigError

Row = dict[str, str]


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


SETTINGS = {
    "trainer.precision": ["32-true", "64-true", "bf16-mixed", "16-mixed", "bf16-true", "16-true"],
    "trainer.gradient_clip_val": ["null", "0.5"],
    "trainer.accumulate_grad_batches": ["1", "3"],
    "trainer.deterministic": ["true", "false"],
    "trainer.limit_train_batches": ["1.0", "2", "0.2"],
    "trainer.limit_val_batches": ["1.0", "1"],
    "trainer.limit_test_batches": ["1.0", "1"],
    "trainer.log_every_n_steps": ["1", "1000"],
    "trainer.max_epochs": ["1", "2"],
    "trainer.accelerator": ["cpu", "auto"],
    "optimizer": options("optimizer"),
    "schedule": options("schedule"),
    "probe": options("probe"),
    "norm": NORMS,
    "model.hidden": ["[]", "[4]", "[4,4]"],
}
# One process; two take ten seconds each, and tests/cli/test_train.py starts them.
ALONE = {"devices", "strategy"}


def pairwise(settings: Mapping[str, Sequence[str]], seed: int) -> list[Row]:
    """Rows with a value of each setting, such that every two values of two settings meet in some row. Greedy."""
    rng = random.Random(seed)
    left = [frozenset({(a, x), (b, y)}) for a, b in combinations(settings, 2) for x in settings[a] for y in settings[b]]
    rng.shuffle(left)
    rows: list[Row] = []
    open_pairs = set(left)
    for pair in left:
        if pair not in open_pairs:
            continue
        row = dict(pair)
        for name in rng.sample(sorted(settings), len(settings)):
            if name not in row:
                met = {
                    value: sum(frozenset({(name, value), item}) in open_pairs for item in row.items())
                    for value in settings[name]
                }
                row[name] = max(met, key=met.__getitem__)
        open_pairs -= {frozenset(two) for two in combinations(row.items(), 2)}
        rows.append(row)
    return rows


ROWS = pairwise(SETTINGS, seed=0)


def test_no_setting_of_the_trainer_is_left_out() -> None:
    assert {f"trainer.{key}" for key in set(Trainer.__annotations__) - ALONE} == {
        key for key in SETTINGS if "trainer" in key
    }


# On a CPU Lightning takes bf16-mixed instead of 16-mixed, and says so.
@pytest.mark.filterwarnings("ignore:You passed `Trainer")
@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.slow) for part in range(1, 6))])
def test_pairs(part: int, run_here: Run) -> None:
    for number, row in list(enumerate(ROWS))[part::6]:
        typed = [f"{key}={value}" for key, value in row.items()]
        result, _ = run_here("data=gaussian", "data.samples=300", "data.batch_size=16", *typed, folder=str(number))
        assert result["status"] in ("ok", "diverged"), typed
        assert result["status"] == "ok" or row["trainer.precision"] == "16-true", typed


@pytest.mark.parametrize("stage", ["train", "val", "test"])
def test_less_than_a_batch(stage: str, run_here: Run) -> None:
    """It is found before training. Lightning says so when it comes to that stage."""
    with pytest.raises(ConfigError, match=rf"limit_{stage}_batches=0.01: less than one of \d+ batches; write a count"):
        run_here("data=gaussian", "data.samples=300", f"trainer.limit_{stage}_batches=0.01")
