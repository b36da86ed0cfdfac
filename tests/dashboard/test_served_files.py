"""The tab's own files: that TensorBoard lists the tab, serves its page and nothing else, and starts without a broken one."""

import http.client
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from board import get, serving, wait_until
from gradpath.config.checks import PROJECT


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving("--logdir", tmp_path_factory.mktemp("logs")) as url:
        yield url


def test_the_tab_is_listed(server: str) -> None:
    tab = get(f"{server}/data/plugins_listing")["gradient_flow"]
    assert tab["tab_name"] == "Gradient Flow"
    assert tab["enabled"]
    assert tab["loading_mechanism"]["module_path"].endswith("/data/plugin/gradient_flow/index.js")


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
