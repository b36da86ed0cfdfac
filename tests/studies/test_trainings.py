"""Trainings as function calls: none twice, none made by other code or of another configuration, one command at a time."""

import subprocess
import sys
from pathlib import Path
from random import Random

import numpy as np
import pytest
from scipy.stats import ttest_rel

from gradpath.errors import ConfigError
from gradpath.files import RESULT
from gradpath.studies import trainings
from gradpath.studies.chapter import tuning
from gradpath.studies.chapter.study import difference, jointly
from gradpath.studies.trainings import train_all, trained
from gradpath.sweep import code

TINY = ("data=xor", "trainer=cpu", "probe=none", "trainer.max_epochs=1")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(trainings, "STUDIES", tmp_path)
    return tmp_path


def when(folder: Path) -> int:
    """When a run's result was written."""
    return (folder / RESULT).stat().st_mtime_ns


def test_none_is_made_twice(place: Path) -> None:
    first = trained(place / "a", TINY)
    made = when(place / "a")
    assert trained(place / "a", TINY) == first
    assert when(place / "a") == made
    # Damaged, as by a full disk.
    (place / "a" / RESULT).write_text('{"status": "o')
    assert trained(place / "a", TINY)["metrics"] == first["metrics"]
    made = when(place / "a")
    # The same configuration, typed differently.
    trained(place / "a", (*TINY, "optimizer=adam"))
    assert when(place / "a") == made


def test_one_without_its_mark_was_stopped_before_its_end(place: Path) -> None:
    trained(place / "a", TINY)
    made = when(place / "a")
    # Nothing of a complete run is written after its mark, nor again.
    marked = (place / "a" / trainings.MADE_BY).stat().st_mtime_ns
    assert marked == max(path.stat().st_mtime_ns for path in (place / "a").rglob("*"))
    (place / "a" / trainings.MADE_BY).unlink()
    trained(place / "a", TINY)
    assert when(place / "a") > made


def test_other_code_or_another_configuration_trains_again(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained(place / "a", TINY)
    made = when(place / "a")
    trained(place / "a", (*TINY, "optimizer.lr=0.5"))
    assert when(place / "a") > made
    made = when(place / "a")
    monkeypatch.setattr(trainings, "made_by", lambda: "other code")
    trained(place / "a", (*TINY, "optimizer.lr=0.5"))
    assert when(place / "a") > made


def test_the_digest_follows_the_code_that_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a comment, not a docstring, not what merely calls or shows it."""
    package = tmp_path / "src/gradpath"
    for name in ("studies", "model", "config", "run"):
        (package / name).mkdir(parents=True)
    (package / "model/network.py").write_text('"""One."""\na = 1\n')
    (package / "config/targets.py").write_text("a = 1\n")
    monkeypatch.setattr(code, "PROJECT", tmp_path)
    before = code.made_by.__wrapped__()
    for name in ("studies/xor.py", "config/launch.py", "run/terminal.py"):
        (package / name).write_text("b = 2\n")
    (package / "model/network.py").write_text('"""Another."""\n# A word.\na = 1\n')
    assert code.made_by.__wrapped__() == before
    for name in ("model/network.py", "config/targets.py", "run/train.py"):
        (package / name).write_text("a = 2\n")
        assert code.made_by.__wrapped__() != before
        before = code.made_by.__wrapped__()


def test_weights_are_kept_where_they_are_asked_for(place: Path) -> None:
    trained(place / "a", TINY)
    assert not (place / "a" / "checkpoints").exists()
    trained(place / "a", TINY, keep=True)
    assert (place / "a" / trainings.LAST).is_file()


def test_one_command_at_a_time(place: Path) -> None:
    """Until the other one ends, by SIGKILL too."""
    (place / "study").mkdir()
    holds = "import sys, filelock; lock = filelock.FileLock(sys.argv[1]); lock.acquire(); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", holds, place / "study/.lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout
        other.stdout.readline()
        with pytest.raises(ConfigError, match="study: another process is at work in it; wait for its end"):
            train_all("study", {"a": TINY})
        other.kill()
    assert not (place / "study/a").exists()
    assert train_all("study", {"a": TINY})["a"]["status"] == "ok"


def test_a_run_that_diverged_counts_as_chance() -> None:
    """Whatever it had reached before it met NaN."""
    result = {"status": "diverged", "metrics": {"val/accuracy": 0.95}}
    assert tuning.score(result, "val/accuracy") == tuning.score(result, "test/accuracy") == 0.1
    assert tuning.score(result | {"status": "ok"}, "val/accuracy") == 0.95


def test_the_rates_next_to_the_best() -> None:
    assert tuning.untried(0.1, (0.01, 0.03, 0.1)) == [0.3]
    assert tuning.untried(0.001, (0.001, 0.003)) == [0.0003]
    assert tuning.untried(0.01, (0.001, 0.01, 0.1)) == [0.003, 0.03]
    assert tuning.untried(0.02, (0.01, 0.02)) == [0.03]
    assert tuning.untried(0.03, (0.01, 0.03, 0.1)) == []


def test_the_best_rate_is_no_matter_of_the_last_digit() -> None:
    """Equally many right, in float32: the lowest. One sample of 6000 more: that one."""
    assert tuning.best({0.003: [0.90777777], 0.01: [0.90777779], 0.001: [0.8]}) == 0.003
    assert tuning.best({0.003: [0.9], 0.01: [0.9 + 1 / 6000]}) == 0.01


def test_a_difference_has_no_negative_zero() -> None:
    assert str(difference([0.5, 0.6], [0.5001, 0.6001])) == "+0.0 +- 0.0 points (n = 2)"
    assert str(difference([0.5], [0.51])) == "-1.0 points (n = 1)"
    assert (difference([0.5], [0.51]).low, difference([0.5], [0.51]).high) == pytest.approx((-0.11, 0.09))


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
def test_the_interval_of_a_difference_is_that_of_the_t_test(seeds: int) -> None:
    draws = Random(seeds)
    first, second = ([draws.gauss(0.9, 0.02) for _ in range(seeds)] for _ in range(2))
    found, expected = difference(first, second), ttest_rel(first, second).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=2e-3)
    assert found.seeds == seeds


def test_the_interval_contains_the_truth_in_95_of_100() -> None:
    """Two standard errors of three seeds did in 82."""
    draws = np.random.default_rng(0).normal(0.01, 0.02, (2000, 3))
    found = [difference(row, [0.0] * 3) for row in draws.tolist()]
    assert sum(one.low < 0.01 < one.high for one in found) / len(found) == pytest.approx(0.95, abs=0.015)


def test_what_an_interval_shows() -> None:
    some = difference([0.03, 0.02, 0.01], [0.0, 0.0, 0.0])
    assert str(some) == "+2.0 +- 2.5 points (n = 3)"
    assert (some.above(), some.above(-0.01), some.above(0.05)) == (None, True, False)
    assert (some.within(0.04), some.within(0.05)) == (None, True)
    sure, surer = difference([0.02, 0.021, 0.019], [0.0] * 3), difference([0.05, 0.051, 0.049], [0.0] * 3)
    assert (sure.within(0.01), surer.beyond(sure), sure.beyond(surer), some.beyond(sure)) == (False, True, False, None)
    assert (jointly([True, None]), jointly([None, False]), jointly([True, True])) == (None, False, True)


@pytest.mark.slow
def test_the_best_rate_is_found_where_it_lies(place: Path) -> None:
    """Far above those tried first."""
    arm = ("data=mnist", "data.limit=1000", "model.hidden=[16]", "trainer=cpu", "probe=none", "trainer.max_epochs=1")
    found = tuning.tuned("t", {"a": arm}, {"a": (1e-5, 3e-5)}, 1)["a"]
    assert sorted(found.validation) == [1e-5, 3e-5, 1e-4, 3e-4, 1e-3]
    assert found.rate == 1e-3
    assert found.shown[1] == "0.001*"
    # Between decades, too.
    found = tuning.tuned("t", {"a": arm}, {"a": (0.1, 0.01)}, 1)["a"]
    assert {0.003, 0.03} <= set(found.validation)
    assert found.shown[1] == f"{found.rate:g}"
