"""A real TensorBoard process, its HTTP answers, and a real browser to look at its pages."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextmanager
def serving(*arguments: str | Path, env: dict[str, str] | None = None) -> Iterator[str]:
    """The URL of a TensorBoard with these arguments, once it answers; it ends with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    tensorboard = Path(sys.executable).parent / "tensorboard"
    board = subprocess.Popen(
        [tensorboard, *arguments, "--host", "127.0.0.1", "--port", str(port), "--reload_interval", "1"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: get(f"{url}/data/plugins_listing"))
        yield url
        assert board.poll() is None, "TensorBoard ended by itself"
    finally:
        board.terminate()
        board.wait()


def get(url: str, body: Any = None) -> Any:
    """The JSON at an address; `body` makes it a POST."""
    request = urllib.request.Request(url, json.dumps(body).encode() if body else None, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def wait_until(condition: Any, seconds: float = 60) -> None:
    """Returns once `condition()` holds; a server that is still starting refuses the connection."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(0.2)
    pytest.fail(f"not within {seconds} s")


@contextmanager
def chromium() -> Iterator[Any]:
    """A playwright browser; the test is skipped where there is none, but not where one is required."""
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
