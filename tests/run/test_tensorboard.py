"""Starts `make dashboard` on a real run, and checks TensorBoard's HTTP API. tests/run/test_tabs.py looks at its pages."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from board import get, make_dashboard, wait_until
from gradpath.config.composition import compose
from gradpath.run import terminal
from gradpath.run.tensorboard import RATIO, RunLogger
from gradpath.run.train import run

RUN, LONG = "runs/default-s0", "runs/long"
# By default TensorBoard keeps 1000 points of a curve; the test needs more.
POINTS = 1500
LAYERS = ["hidden_01", "hidden_02", "output"]
FAMILIES = ["delta_log10", "weight_grad_norm", "weight_grad_norm_log10", "weight_norm", "update_ratio_log10"]
SCALARS = {
    "lr", "train/loss", "train/accuracy", "train/loss_epoch", "train/accuracy_epoch",
    "val/loss", "val/accuracy", "test/loss", "test/accuracy",
}  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serves the default network, trained for two short epochs, and a curve with more points than TensorBoard keeps."""
    folder = tmp_path_factory.mktemp("dashboard")
    overrides = ("data.limit=6400", "trainer.max_epochs=2", "trainer.accelerator=cpu")
    config, choices = compose(*overrides)
    run(config, choices, folder / "logs" / RUN, list(overrides))
    long = RunLogger(folder / "logs" / LONG, [])
    for step in range(POINTS):
        long.log_metrics({"train/loss": 1 / (step + 1)}, step)
    long.close()
    with make_dashboard(folder) as url:
        wait_until(lambda: get(f"{url}/data/runs") == [RUN, LONG])
        yield url


def test_make_dashboard_serves_every_point(server: str) -> None:
    """The effect of the flag is read back, because a wrong flag can go unnoticed: `scalars=0` would return no points."""
    points = get(f"{server}/data/plugin/scalars/scalars?run={LONG}&tag=train/loss")
    assert [step for _, step, _ in points] == list(range(POINTS))
    assert [value for *_, value in points] == pytest.approx([1 / (step + 1) for step in range(POINTS)])


def test_every_documented_tag_is_served(server: str) -> None:
    served = get(f"{server}/data/plugin/scalars/tags")[RUN]
    assert set(served) == SCALARS | {RATIO} | {f"{family}/{layer}" for family in FAMILIES for layer in LAYERS}
    for tag in (f"weight_grad_norm_log10/{layer}" for layer in LAYERS):
        points = get(f"{server}/data/plugin/scalars/scalars?run={RUN}&tag={tag}")
        assert [step for _, step, _ in points] == [0, 50]
        assert all(-5 < value < 3 for _, _, value in points)


def test_one_chart_shows_all_layers(server: str) -> None:
    layout = get(f"{server}/data/plugin/custom_scalars/layout")
    charts = {chart["title"]: chart["multiline"]["tag"] for category in layout["category"] for chart in category["chart"]}
    assert charts["log10 |dW| of every layer"] == ["weight_grad_norm_log10/.*"]
    drawn = get(f"{server}/data/plugin/custom_scalars/scalars?run={RUN}&tag=weight_grad_norm_log10/.*")
    assert drawn["regex_valid"]
    assert set(drawn["tag_to_events"]) == {f"weight_grad_norm_log10/{layer}" for layer in LAYERS}


def test_the_hparams_row(server: str) -> None:
    experiment = get(f"{server}/data/plugin/hparams/experiment", {"experimentName": ""})
    assert {"activation", "init", "optimizer", "seed", "optimizer.lr", "model.depth"} <= {
        info["name"] for info in experiment["hparamInfos"]
    }
    assert {info["name"]["tag"] for info in experiment["metricInfos"]} == {
        "val/loss", "val/accuracy", "test/loss", "test/accuracy", "gradient/ratio",
    }  # fmt: skip
    question = {
        "experimentName": "", "allowedStatuses": ["STATUS_SUCCESS", "STATUS_UNKNOWN", "STATUS_RUNNING", "STATUS_FAILURE"],
        "colParams": [], "startIndex": 0, "sliceSize": 10,
    }  # fmt: skip
    (group,) = get(f"{server}/data/plugin/hparams/session_groups", question)["sessionGroups"]
    assert group["hparams"]["activation"] == "relu"
    assert group["hparams"]["model.depth"] == 2
    values = {value["name"]["tag"]: value["value"] for value in group["metricValues"]}
    assert set(values) == {"val/loss", "val/accuracy", "test/loss", "test/accuracy", "gradient/ratio"}
    assert 0.85 < values["test/accuracy"] <= 1


def test_a_histogram_beyond_the_last_bin(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It does not end the run; the run says what is missing."""
    logger = RunLogger(tmp_path, [])
    logger.log_histogram("weight_grad/output", torch.tensor([1.0, -1e30]), 3)
    logger.log_histogram("weight_grad/output", torch.tensor([1.0, 2.0]), 4)
    logger.close()
    terminal.warn_of_gaps()
    missing = "no histogram of weight_grad/output from step 3 on, where values reach 1e+30"
    assert capsys.readouterr().out == f"warning: TensorBoard's event file is incomplete: {missing}\n"
    terminal.warn_of_gaps()
    assert capsys.readouterr().out == ""
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [event.step for event in events.Histograms("weight_grad/output")] == [4]
