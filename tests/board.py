"""Starts a real TensorBoard, reads its HTTP answers, and opens a real browser to look at its pages."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np
import pytest

from conftest import environment
from gradpath.config.checks import PROJECT

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextmanager
def serving(*arguments: str | Path, env: dict[str, str] | None = None) -> Iterator[str]:
    """Starts a TensorBoard with these arguments and yields its URL once it answers. It ends with the block."""
    tensorboard = Path(sys.executable).parent / "tensorboard"
    port = free_port()
    with answering(
        [tensorboard, *arguments, "--host", "127.0.0.1", "--port", str(port), "--reload_interval", "1"], port, env
    ):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def make_dashboard(folder: Path) -> Iterator[str]:
    """Runs `make dashboard` in a folder that has logs/, and yields its URL once it answers.

    It serves on its default port, 6006, or on another one if that is taken.
    """
    # These are links, so that make compares the times of the real files.
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        (folder / name).symlink_to(PROJECT / name)
    (folder / ".venv").symlink_to(sys.prefix)
    with socket.socket() as own:
        taken = own.connect_ex(("127.0.0.1", 6006)) == 0
    port = free_port() if taken else 6006
    typed = ["make", "dashboard", *([f"ARGS=--port {port}"] if taken else [])]
    # `make test ARGS=...` hands its variables on to every make below it. They are not meant for this one.
    env = {name: value for name, value in environment(PROJECT).items() if not name.startswith(("MAKE", "MFLAGS", "ARGS"))}
    with answering(typed, port, env, cwd=folder):
        yield f"http://127.0.0.1:{port}"


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def peak_memory(url: str) -> int:
    """The most bytes that the server at an address has had in memory so far. It was started by `serving`."""
    port = str(urlsplit(url).port).encode()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            typed = (process / "cmdline").read_bytes().split(b"\0")
            if b"--port" in typed and typed[typed.index(b"--port") + 1] == port:
                return int((process / "status").read_text().split("VmHWM:")[1].split()[0]) * 1024
    raise LookupError(f"no process serves {url}")


@contextmanager
def answering(
    command: Sequence[str | Path], port: int, env: dict[str, str] | None = None, cwd: Path | None = None
) -> Iterator[None]:
    """Starts a command that serves TensorBoard on `port`, and waits until it answers.

    The command and its children end with the block.
    """
    board = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env, cwd=cwd, start_new_session=True
    )
    try:
        wait_until(lambda: get(f"http://127.0.0.1:{port}/data/plugins_listing"), ended=lambda: board.poll() is not None)
        yield
        assert board.poll() is None, "TensorBoard ended by itself"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(board.pid, signal.SIGTERM)
        board.wait()


def get(url: str, body: Any = None) -> Any:
    """The JSON at an address. A `body` makes the request a POST."""
    request = urllib.request.Request(url, json.dumps(body).encode() if body else None, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)


def wait_until(condition: Any, seconds: float = 240, ended: Callable[[], bool] = lambda: False) -> None:
    """Returns once `condition()` holds; fails the test if it does not within `seconds`.

    An OSError counts as not yet: a server that is still starting refuses the connection.

    Args:
        ended: whether there is nothing left to wait for; the test then fails at once.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end and not ended():
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(0.2)
    pytest.fail("the process ended" if ended() else f"not within {seconds} s")


@contextmanager
def chromium() -> Iterator[Any]:
    """A playwright browser. Without a Chromium the test is skipped, or fails if GRADPATH_REQUIRE_BROWSER is set."""
    if BROWSER is None:
        assert not os.environ.get("GRADPATH_REQUIRE_BROWSER"), "no Chromium, which .ci/run installs"
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=BROWSER,
            args=["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"],
        )
        yield browser
        browser.close()


def refusal(url: str) -> tuple[int, str]:
    """The status and the sentence of an answer that is an error."""
    with pytest.raises(urllib.error.HTTPError) as refused:
        get(url)
    with refused.value as answer:
        assert answer.headers["Content-Type"] == "application/json"
        content = json.load(answer)
    assert set(content) == {"error"}
    assert "Traceback" not in content["error"]
    return answer.status, content["error"]


def record(server: str, run: str, quantity: str = "delta") -> dict[str, Any]:
    """The tab's answer about a run."""
    answer = get(f"{server}/data/plugin/gradient_flow/record?run={quote(run)}&quantity={quote(quantity)}")
    assert isinstance(answer, dict)
    return answer


def names(server: str) -> list[str]:
    """The runs that the tab lists."""
    return [run["name"] for run in get(f"{server}/data/plugin/gradient_flow/runs")["runs"]]


def decoded(values: Any) -> Any:
    """The numbers of such an answer. Texts stand for infinities, and null for what is no number."""
    return np.array(values, dtype=object).astype(float)
