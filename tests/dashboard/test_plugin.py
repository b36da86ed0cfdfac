"""The tab's routes, asked over HTTP from a real TensorBoard; records that are good, odd, huge, damaged or absent."""

import http.client
import io
import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from torch import nn

from board import get, refusal, serving, wait_until
from gradpath import probe
from gradpath.config.checks import PROJECT
from gradpath.dashboard.answers import Answers
from gradpath.dashboard.records import sample
from synthetic import HEALTHY, VANISHING, content, write

GOOD = content(count=4, steps=6, every=7)
ODD = content(count=3, steps=4) | {"my own": np.arange(12.0).reshape(4, 3), "not a matrix": np.arange(4.0)}
ODD["delta"] = np.array([[0, 1e-300, 1e300], [np.nan, np.inf, -np.inf], [5e-324, -0.0, 0.1], [1 / 3, 1e-45, 2]])
ODD["theory_delta"] = np.array([1e-7, 0.5, np.nan])
BIG = content(count=100, steps=10_000, every=1)


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def without(name: str) -> bytes:
    return npz(**{key: array for key, array in GOOD.items() if key != name})


def claiming(shape: tuple[int, ...]) -> bytes:
    """A record whose header promises more than the file holds."""
    file = io.BytesIO(without("delta"))
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("delta.npy", header.getvalue() + bytes(8))
    return file.getvalue()


def flipped() -> bytes:
    """A record in which one byte of `delta` is not what was written: the archive's checksum tells."""
    whole = bytearray(npz(**GOOD))
    whole[whole.index(GOOD["delta"].tobytes())] ^= 255
    return bytes(whole)


DAMAGED = {
    "empty": (b"", "zip file"),
    "truncated": (npz(**GOOD)[:900], "zip file"),
    "random": (np.random.default_rng(0).bytes(4000), "zip file"),
    "flipped": (flipped(), "CRC"),
    "one_array": (GOOD["delta"].tobytes(), "zip file"),
    "pickled": (npz(**GOOD | {"delta": np.array([[{}] * 4] * 6)}), "`delta`"),
    "pickled_layers": (npz(**GOOD | {"layer": np.array([{}] * 4)}), "`layer` is object"),
    "transposed": (
        npz(**GOOD | {"delta": GOOD["delta"].T}),
        "`delta` is float64 of shape (4, 6), not numbers of shape (6, 4)",
    ),
    "texts": (npz(**GOOD | {"delta": np.full((6, 4), "a")}), "`delta`"),
    "short_theory": (npz(**GOOD | {"theory_delta": np.zeros(3)}), "`theory_delta`"),
    "flat_band": (npz(**GOOD | {"seeds_delta_band": np.zeros(4)}), "`seeds_delta_band`"),
    "no_layer": (without("layer"), "holds no `layer`"),
    "no_step": (without("step"), "holds no `step`"),
    "no_layers": (npz(**GOOD | {"layer": np.array([], dtype="U1")}), "`layer`"),
    "numbered_layers": (npz(**GOOD | {"layer": np.arange(4)}), "`layer`"),
    "backwards": (npz(**GOOD | {"step": GOOD["step"][::-1]}), "`step`"),
    "claiming": (claiming((10**6, 10**6)), "claims to be float64 of shape (1000000, 1000000)"),
    "one_float_step": (npz(**GOOD | {"step": np.float64(1)}), "`step`"),
}


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
    for name, (damaged, _) in DAMAGED.items():
        (folder / "damaged" / name).mkdir(parents=True)
        (folder / "damaged" / name / "flow.npz").write_bytes(damaged)
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


def record(server: str, run: str, quantity: str = "delta") -> dict[str, Any]:
    answer = get(f"{server}/data/plugin/gradient_flow/record?run={quote(run)}&quantity={quote(quantity)}")
    assert isinstance(answer, dict)
    return answer


def decoded(values: Any) -> Any:
    return np.array(values, dtype=object).astype(float)


def names(server: str) -> list[str]:
    return [run["name"] for run in get(f"{server}/data/plugin/gradient_flow/runs")["runs"]]


def test_the_tab_is_listed(server: str) -> None:
    tab = get(f"{server}/data/plugins_listing")["gradient_flow"]
    assert tab["tab_name"] == "Gradient Flow"
    assert tab["enabled"]
    assert tab["loading_mechanism"]["module_path"].endswith("/data/plugin/gradient_flow/index.js")


def test_every_record_is_listed_once_and_the_newest_first(server: str, logs: Path) -> None:
    listed = names(server)
    assert set(listed) == {"good", "odd", "big", "started", "strange verdict", "no verdict", "unmeasured", "silent"} | {
        f"damaged/{name}" for name in DAMAGED
    }
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
    assert not {"not a matrix", "layer", "step", "theory_delta", "theory_delta_band", "seeds_delta_band", "verdict"} & set(
        offered
    )
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


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_record_is_refused_in_a_sentence(server: str, name: str) -> None:
    status, sentence = refusal(f"{server}/data/plugin/gradient_flow/record?run=damaged/{name}")
    assert status == 422
    assert sentence.startswith("is damaged: ")
    assert DAMAGED[name][1] in sentence
    assert record(server, "good")["values"] is not None
    assert get(f"{server}/data/plugin/scalars/tags") == {}


def test_one_bad_matrix_leaves_the_others(server: str) -> None:
    for name in ("pickled", "transposed", "flipped", "claiming"):
        answer = record(server, f"damaged/{name}", "weight_norm")
        assert np.array_equal(decoded(answer["values"]), GOOD["weight_norm"])
        assert "weight_norm" in answer["quantities"]


@pytest.mark.parametrize(
    "run", ["", "absent", "../good", "good/../good", "good/", "/etc", "damaged", "pipe", "folder", "./good", "%2e%2e"]
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


@pytest.mark.parametrize(
    "line", ["raise ImportError('broken on purpose')", "def broken(:", "import a_package_that_is_not_there"]
)
def test_tensorboard_starts_without_a_tab_that_cannot_be_imported(tmp_path: Path, line: str) -> None:
    shutil.copytree(PROJECT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "src/gradpath/dashboard/plugin.py").write_text(line + "\n")
    EventFileWriter(str(tmp_path / "logs/run")).close()
    with serving("--logdir", tmp_path / "logs", env=os.environ | {"PYTHONPATH": str(tmp_path / "src")}) as url:
        assert "gradient_flow" not in get(f"{url}/data/plugins_listing")
        wait_until(lambda: get(f"{url}/data/runs") == ["run"])


def test_the_tab_imports_nothing_heavy() -> None:
    program = """
import sys
from importlib.metadata import entry_points
from tensorboard.plugins.base_plugin import TBContext
(entry,) = entry_points(group="tensorboard_plugins", name="gradient_flow")
plugin = entry.load()().load(TBContext(logdir="logs"))
assert {"/index.js", "/record", "/runs", "/style.css"} <= set(plugin.get_plugin_apps())
heavy = {"torch", "lightning", "hydra", "omegaconf", "matplotlib", "pandas", "scipy"}
print({name.partition(".")[0] for name in sys.modules} & heavy)
"""
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"


def test_the_package_carries_the_page() -> None:
    import tomllib

    data = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    assert data == {"gradpath.dashboard": ["static/*"], "gradpath.sweep": ["static/*"]}
    static = PROJECT / "src/gradpath/dashboard/static"
    # The pattern reaches no folder below, and the plugin serves no other kind of file.
    assert all(path.is_file() and path.suffix in {".js", ".css"} for path in static.iterdir())


def test_every_module_is_served_as_javascript(server: str) -> None:
    modules = sorted((PROJECT / "src/gradpath/dashboard/static").glob("*.js"))
    assert len(modules) > 1
    for path in modules:
        with urllib.request.urlopen(f"{server}/data/plugin/gradient_flow/{path.name}", timeout=30) as answer:
            assert answer.headers.get_content_type() == "text/javascript"
            assert answer.read() == path.read_bytes()


@pytest.mark.parametrize(
    "path",
    ["../plugin.py", "..%2fplugin.py", "%2e%2e/plugin.py", "./index.js", "static/index.js", "absent.js", "", "/etc/passwd"],
)
def test_nothing_outside_the_page_s_folder_is_served(server: str, path: str) -> None:
    connection = http.client.HTTPConnection(server.removeprefix("http://"), timeout=30)
    # This client sends the path as it is.
    connection.request("GET", f"/data/plugin/gradient_flow/{path}")
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    assert answer.status == 404
    assert b"import" not in content
    assert b"root:" not in content


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
