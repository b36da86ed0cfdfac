"""What the tab answers about records, asked over HTTP from a real TensorBoard: good, odd, huge or absent ones."""

import json
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from torch import nn

from board import decoded, get, names, record, refusal, serving, wait_until
from gradpath import probe
from gradpath.dashboard.answers import Answers
from gradpath.dashboard.records import sample
from synthetic import HEALTHY, VANISHING, content, write

GOOD = content(count=4, steps=6, every=7)
ODD = content(count=3, steps=4) | {"my own": np.arange(12.0).reshape(4, 3), "not a matrix": np.arange(4.0)}
# As many time steps as layers: over depth this would be nonsense.
ODD["in_time/rnn"] = np.ones((4, 3))
ODD["delta"] = np.array([[0, 1e-300, 1e300], [np.nan, np.inf, -np.inf], [5e-324, -0.0, 0.1], [1 / 3, 1e-45, 2]])
ODD["theory_delta"] = np.array([1e-7, 0.5, np.nan])
BIG = content(count=100, steps=10_000, every=1)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs")
    write(folder / "good", GOOD, VANISHING)
    write(folder / "odd", ODD)
    write(folder / "big", BIG)
    write(folder / "started", content(count=3, steps=0))
    write(folder / "strange verdict", GOOD, {"class": 3, "ratio": float("inf"), "findings": [1, {"cause": 2}] * 5})
    write(folder / "no verdict", GOOD | {"verdict": np.array("{")})
    with pytest.warns(RuntimeWarning, match="no step was measured"), probe(nn.Linear(2, 2), folder=folder / "unmeasured"):
        pass
    write(folder / "silent", {"layer": np.array([], dtype=str), "step": np.array([], dtype=int)})
    write(folder / "above/below", GOOD)
    (folder / "folder/flow.npz").mkdir(parents=True)
    os.mkfifo(folder / "folder/fifo")
    (folder / "pipe").mkdir()
    os.mkfifo(folder / "pipe/flow.npz")
    (folder / "loop").mkdir()
    (folder / "loop/up").symlink_to(folder)
    return folder


@pytest.fixture(scope="module")
def server(logs: Path) -> Iterator[str]:
    with serving("--logdir", logs) as url:
        yield url


def test_every_record_is_listed_once_and_the_newest_first(server: str, logs: Path) -> None:
    listed = names(server)
    written = {"good", "odd", "big", "started", "strange verdict", "no verdict", "unmeasured", "silent", "above/below"}
    assert set(listed) == written
    assert len(set(listed)) == len(listed)
    times = [(logs / name / "flow.npz").stat().st_mtime_ns for name in listed]
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize("quantity", [name for name in GOOD if not name.startswith(("layer", "step", "theory", "seeds"))])
def test_a_matrix_is_what_was_written(server: str, quantity: str) -> None:
    answer = record(server, "good", quantity)
    assert answer["layers"] == GOOD["layer"].tolist()
    assert answer["steps"] == GOOD["step"].tolist()
    assert np.array_equal(decoded(answer["values"]), GOOD[quantity])
    assert answer["quantity"] == quantity
    for line in ("theory", "theory_band", "seeds_band"):
        assert (answer[line] is not None) == (quantity == "delta")


def test_zero_nan_and_infinity_stay_apart(server: str) -> None:
    answer = record(server, "odd")
    assert answer["values"][1] == [None, "inf", "-inf"]
    assert answer["theory"] == [1e-7, 0.5, None]
    assert np.array_equal(decoded(answer["values"]), ODD["delta"], equal_nan=True)


def test_unknown_quantities_are_offered_by_name(server: str) -> None:
    offered = record(server, "odd")["quantities"]
    assert "my own" in offered
    assert not {
        "not a matrix",
        "layer",
        "step",
        "theory_delta",
        "theory_delta_band",
        "seeds_delta_band",
        "verdict",
        "in_time/rnn",
    } & set(offered)
    assert record(server, "odd", "my own")["values"] == ODD["my own"].tolist()
    assert record(server, "odd", "dead")["values"] is None


def test_many_steps_are_sampled(server: str) -> None:
    url = f"{server}/data/plugin/gradient_flow/record?run=big"
    with urllib.request.urlopen(url, timeout=120) as answer:
        body = answer.read()
    assert len(body) < 1_500_000
    big = json.loads(body)
    assert big["recorded"] == 10_000
    assert len(big["steps"]) == 500
    assert (big["steps"][0], big["steps"][-1]) == (0, 9_999)
    assert np.array_equal(decoded(big["values"]), BIG["delta"][big["steps"]])


@pytest.mark.parametrize(("count", "limit"), [(0, 5), (1, 5), (2, 5), (5, 5), (6, 5), (499, 500), (501, 500), (10_000, 2)])
def test_a_sample_keeps_both_ends(count: int, limit: int) -> None:
    kept = sample(count, limit).tolist()
    assert len(kept) == min(count, limit)
    assert kept == sorted(set(kept))
    assert not count or (kept[0], kept[-1]) == (0, count - 1)


def test_the_verdict(server: str) -> None:
    assert record(server, "good")["verdict"] == VANISHING | {"deviation": VANISHING["deviation"]["sentence"]}
    assert record(server, "odd")["verdict"] is None


def test_a_verdict_that_cannot_be_read_leaves_the_matrix(server: str) -> None:
    assert record(server, "no verdict")["verdict"] is None
    strange = record(server, "strange verdict")
    assert strange["values"] is not None
    assert strange["verdict"]["ratio"] == "inf"
    assert strange["verdict"]["class"] is None
    assert strange["verdict"]["findings"] == [dict.fromkeys(("kind", "cause", "layer", "message", "remedy"))] * 3


def test_a_run_that_has_measured_nothing_yet(server: str) -> None:
    answer = record(server, "started")
    assert (answer["steps"], answer["values"], answer["recorded"]) == ([], [], 0)


def test_a_record_without_steps_says_why(server: str) -> None:
    status, sentence = refusal(f"{server}/data/plugin/gradient_flow/record?run=unmeasured")
    why = "no step was measured: no backward pass went through the model's layers inside the block"
    assert (status, sentence) == (422, f"has nothing to show: {why}.")
    assert (
        refusal(f"{server}/data/plugin/gradient_flow/record?run=silent")[1] == "has nothing to show: no step was measured."
    )


def test_the_first_and_the_last_step_alone(server: str) -> None:
    for asked in ("2", "1", "-3"):
        answer = get(f"{server}/data/plugin/gradient_flow/record?run=big&steps={asked}")
        assert (answer["steps"], answer["recorded"]) == ([0, 9_999], 10_000)
        assert np.array_equal(decoded(answer["values"]), BIG["delta"][[0, -1]])
    assert len(get(f"{server}/data/plugin/gradient_flow/record?run=big&steps=9999")["steps"]) == 500
    assert len(get(f"{server}/data/plugin/gradient_flow/record?run=big&steps=x")["steps"]) == 500


@pytest.mark.parametrize(
    "run", ["", "absent", "../good", "good/../good", "good/", "/etc", "above", "pipe", "folder", "./good", "%2e%2e"]
)
def test_only_listed_runs_are_read(server: str, logs: Path, run: str) -> None:
    shutil.copy(logs / "good/flow.npz", logs.parent / "flow.npz")
    assert refusal(f"{server}/data/plugin/gradient_flow/record?run={quote(run)}")[0] == 404
    assert refusal(f"{server}/data/plugin/gradient_flow/record?run={quote(str(logs / 'good'))}")[0] == 404


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_record_without_permission(server: str, logs: Path) -> None:
    write(logs / "locked", GOOD)
    (logs / "locked/flow.npz").chmod(0)
    assert refusal(f"{server}/data/plugin/gradient_flow/record?run=locked")[1].startswith("cannot be read: ")
    (logs / "locked").chmod(0)
    assert "good" in names(server)
    (logs / "locked").chmod(0o700)


def test_a_record_that_goes_on_is_read_again(server: str, logs: Path) -> None:
    write(logs / "growing", content(count=3, steps=4))
    before = next(run for run in get(f"{server}/data/plugin/gradient_flow/runs")["runs"] if run["name"] == "growing")
    assert record(server, "growing")["recorded"] == 4
    write(logs / "growing", content(count=3, steps=5))
    after = next(run for run in get(f"{server}/data/plugin/gradient_flow/runs")["runs"] if run["name"] == "growing")
    answer = record(server, "growing")
    assert answer["recorded"] == 5
    assert answer["version"] == after["version"] != before["version"]
    shutil.rmtree(logs / "growing")
    assert "cannot be read" in refusal(f"{server}/data/plugin/gradient_flow/record?run=growing")[1]


def test_runs_are_named_as_tensorboard_names_them(tmp_path: Path) -> None:
    for folder in ("a", "a/b/c", "d"):
        write(tmp_path / folder, GOOD, HEALTHY)
        EventFileWriter(str(tmp_path / folder)).close()
    with serving("--logdir", tmp_path / "a") as url:
        wait_until(lambda: get(f"{url}/data/runs"))
        assert set(names(url)) == set(get(f"{url}/data/runs")) == {".", "b/c"}
    with serving("--logdir_spec", f"first:{tmp_path / 'a'},{tmp_path / 'd'}") as url:
        wait_until(lambda: len(get(f"{url}/data/runs")) == 3)
        assert set(names(url)) == set(get(f"{url}/data/runs"))
        assert record(url, "first/b/c")["recorded"] == 6


def test_no_record_at_all(tmp_path: Path) -> None:
    with serving("--logdir", tmp_path / "absent") as url:
        assert get(f"{url}/data/plugin/gradient_flow/runs") == {
            "runs": [], "sweeps": [], "folders": [str(tmp_path / "absent")],
        }  # fmt: skip
        assert get(f"{url}/data/plugins_listing")["gradient_flow"]["enabled"]


def test_steps_on_which_a_slow_quantity_was_not_measured_are_left_out(tmp_path: Path) -> None:
    """A row of NaN of a gradient says that it was not finite, of the rest that it was not read on that step."""
    matrix = np.full((10, 2), np.nan)
    matrix[::5] = [[1.0, 2.0], [3.0, np.nan]]
    np.savez(tmp_path / "flow.npz", layer=np.array(["a", "b"]), step=np.arange(10), update_ratio=matrix, delta=matrix)
    path = tmp_path / "flow.npz"
    slow = json.loads(Answers().get(path, "update_ratio"))
    assert (slow["steps"], slow["values"]) == ([0, 5], [[1.0, 2.0], [3.0, None]])
    gradient = json.loads(Answers().get(path, "delta"))
    assert gradient["steps"] == list(range(10))
    assert gradient["values"][1] == [None, None]
