"""Which columns TensorBoard's HParams tab is told of, whichever run it reads first."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from board import get, serving, wait_until
from gradpath.run.tensorboard import RunLogger

ALONE = {"activation": "relu", "init": "he_normal", "data": "mnist", "optimizer.lr": 0.001, "model.depth": 2, "seed": 0}
METRICS = ["test/accuracy", "test/loss"]


def write(folder: Path, varied: Mapping[str, str] | None, kind: str = "healthy", metrics: list[str] = METRICS) -> None:
    """A run as far as the HParams tab reads it."""
    logger = RunLogger(folder, [*metrics], {"class": kind, "ratio": 1.0}, varied)
    logger.log_hyperparams(ALONE)
    logger.log_metrics(dict.fromkeys(metrics, 0.5), 1)
    logger.close()


def told(folder: Path, runs: int) -> tuple[list[str], list[str], dict[str, Mapping[str, Any]]]:
    """The keys and the metrics that are columns, and the values of each run."""
    with serving("--logdir", folder) as url:
        wait_until(lambda: len(get(f"{url}/data/runs")) == runs)
        experiment = get(f"{url}/data/plugin/hparams/experiment", {"experimentName": ""})
        keys = [info["name"] for info in experiment["hparamInfos"]]
        metrics = [info["name"]["tag"] for info in experiment["metricInfos"]]
        question = {
            "experimentName": "", "allowedStatuses": ["STATUS_SUCCESS", "STATUS_UNKNOWN", "STATUS_RUNNING"],
            "colParams": [], "startIndex": 0, "sliceSize": 100,
        }  # fmt: skip
        groups = get(f"{url}/data/plugin/hparams/session_groups", question)["sessionGroups"]
    return keys, metrics, {group["sessions"][0]["name"]: group["hparams"] for group in groups}


@pytest.mark.parametrize("names", [("a", "b", "c"), ("c", "b", "a"), ("b", "c", "a")])
def test_the_keys_that_differ(tmp_path: Path, names: tuple[str, str, str]) -> None:
    """Of a run alone and two sweeps, which vary other keys, and have other metrics."""
    alone, one, two = names
    write(tmp_path / alone, None)
    for k, activation in enumerate(("relu", "tanh")):
        write(tmp_path / one / str(k), {"activation": activation, "seed": str(k)})
    for k, rate in enumerate(("0.1", "0.01")):
        write(tmp_path / two / str(k), {"optimizer.lr": rate}, "vanishing", ["test/mae", "test/loss"])
    keys, metrics, values = told(tmp_path, 5)
    assert keys == ["activation", "gradient", "optimizer.lr", "seed"]
    assert {*metrics} == {"test/accuracy", "test/loss", "test/mae", "gradient/ratio"}
    assert values[f"{two}/1"] == {"optimizer.lr": 0.01, "gradient": "vanishing 1"}
    assert values[alone]["optimizer.lr"] == 0.001


def test_runs_that_differ_in_nothing(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / name, None)
    assert told(tmp_path, 2)[0] == sorted([*ALONE, "gradient"])


def test_a_run_alone(tmp_path: Path) -> None:
    write(tmp_path / "a", None)
    assert told(tmp_path, 1)[0] == sorted([*ALONE, "gradient"])
