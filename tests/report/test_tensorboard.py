"""A real TensorBoard on a real run: its HTTP API, and its pages in a real browser."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import environment
from gradpath.flow.callback import tags

LAYERS = ["hidden_01", "hidden_02", "output"]
SCALARS = {
    "lr", "train/loss", "train/accuracy", "train/loss_epoch", "train/accuracy_epoch",
    "val/loss", "val/accuracy", "test/loss", "test/accuracy",
}  # fmt: skip
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def server(project: Path) -> Iterator[str]:
    """TensorBoard over the logs of the default network, trained for two short epochs."""
    folder = project / "logs/board/runs/default-s0"
    subprocess.run(
        [sys.executable, "train.py", "data.limit=6400", "trainer.max_epochs=2", f"hydra.run.dir={folder}"],
        cwd=project, env=environment(project), check=True, capture_output=True,
    )  # fmt: skip
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    tensorboard = Path(sys.executable).parent / "tensorboard"
    board = subprocess.Popen(
        [tensorboard, "--logdir", folder.parents[1], "--host", "127.0.0.1", "--port", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: get(f"{url}/data/runs") == ["runs/default-s0"])
        yield url
    finally:
        board.terminate()
        board.wait()


def get(url: str, body: Any = None) -> Any:
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


def test_every_documented_tag_is_served(server: str) -> None:
    served = get(f"{server}/data/plugin/scalars/tags")["runs/default-s0"]
    assert set(served) == SCALARS | set(tags(LAYERS))
    for tag in (f"weight_grad_norm_log10/{layer}" for layer in LAYERS):
        points = get(f"{server}/data/plugin/scalars/scalars?run=runs/default-s0&tag={tag}")
        assert [step for _, step, _ in points] == [0, 50]
        assert all(-5 < value < 3 for _, _, value in points)


def test_one_chart_shows_all_layers(server: str) -> None:
    layout = get(f"{server}/data/plugin/custom_scalars/layout")
    charts = {chart["title"]: chart["multiline"]["tag"] for category in layout["category"] for chart in category["chart"]}
    assert charts["log10 |dW| of every layer"] == ["weight_grad_norm_log10/.*"]
    drawn = get(f"{server}/data/plugin/custom_scalars/scalars?run=runs/default-s0&tag=weight_grad_norm_log10/.*")
    assert drawn["regex_valid"]
    assert set(drawn["tag_to_events"]) == {f"weight_grad_norm_log10/{layer}" for layer in LAYERS}


def test_the_hparams_row(server: str) -> None:
    experiment = get(f"{server}/data/plugin/hparams/experiment", {"experimentName": ""})
    assert {"activation", "init", "optimizer", "seed", "lr", "depth"} <= {info["name"] for info in experiment["hparamInfos"]}
    assert {info["name"]["tag"] for info in experiment["metricInfos"]} == {
        "val/loss", "val/accuracy", "test/loss", "test/accuracy",
    }  # fmt: skip
    question = {
        "experimentName": "", "allowedStatuses": ["STATUS_SUCCESS", "STATUS_UNKNOWN", "STATUS_RUNNING", "STATUS_FAILURE"],
        "colParams": [], "startIndex": 0, "sliceSize": 10,
    }  # fmt: skip
    (group,) = get(f"{server}/data/plugin/hparams/session_groups", question)["sessionGroups"]
    assert group["hparams"]["activation"] == "relu"
    assert group["hparams"]["depth"] == 2
    values = {value["name"]["tag"]: value["value"] for value in group["metricValues"]}
    assert set(values) == {"val/loss", "val/accuracy", "test/loss", "test/accuracy"}
    assert 0.85 < values["test/accuracy"] <= 1


def test_a_browser_finds_the_charts(server: str, tmp_path: Path) -> None:
    if BROWSER is None:
        assert not os.environ.get("GRADPATH_REQUIRE_BROWSER"), "no Chromium, which .ci/run installs"
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=BROWSER,
            args=["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"],
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{server}/#timeseries")
        page.locator("input[placeholder='Filter tags (regex)']").fill("weight_grad_norm_log10")
        for layer in LAYERS:
            page.get_by_text(f"weight_grad_norm_log10/{layer}").first.wait_for(timeout=60_000)
        page.goto(f"{server}/#custom_scalars")
        page.reload()
        page.get_by_text("log10 |dW| of every layer").first.wait_for(timeout=60_000)
        lines = page.locator("vz-line-chart2 path, .vz-chart path, vz-line-chart2 canvas")
        lines.first.wait_for(state="attached", timeout=60_000)
        page.goto(f"{server}/#hparams")
        page.reload()
        page.get_by_text("test/accuracy").first.wait_for(timeout=60_000)
        shot = page.screenshot(path=tmp_path / "hparams.png")
        assert len(shot) > 10_000
        browser.close()
