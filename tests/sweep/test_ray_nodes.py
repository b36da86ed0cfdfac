"""A Ray cluster of several nodes, one of which is lost in the middle of a sweep."""

import csv
import tempfile
from collections import Counter
from pathlib import Path

import pytest

from board import wait_until
from conftest import Command, Start
from sweeping import counted, lasting


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_node_that_is_lost_costs_its_jobs_only(begin: Start, sweep: Command, tmp_path: Path) -> None:
    from ray.cluster_utils import Cluster

    folder, whole = tmp_path / "sweep", tmp_path / "whole"
    # The first jobs are still at work when a node has been lost for a second.
    typed = ("seed=range(4)", "trainer.max_epochs=80")
    assert sweep(*typed, folder=whole).returncode == 0
    # The head takes no jobs.
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        on_cluster = ("hydra/launcher=ray", f"hydra.launcher.address={cluster.address}")
        process = begin(*typed, *on_cluster)
        # Both nodes are at work.
        wait_until(
            lambda: len([*folder.glob("*/.claim")]) == 2 and [*folder.glob("*/checkpoints/last.ckpt")],
            120,
            ended=lambda: process.poll() is not None,
        )
        cluster.remove_node(nodes[0], allow_graceful=False)
        out, err = process.communicate()
        assert process.returncode == 1, out + err
        # A line for each job, one before, and after them the failure, the counts, the best, the report and how to compare:
        # nothing of Ray's own.
        assert len(out.splitlines()) == 4 + 6, out
        with (folder / "summary.csv").open() as file:
            rows = [*csv.DictReader(file)]
        assert Counter(row["status"] for row in rows) == {"ok": 3, "ended from outside": 1}, out
        assert [row["error"].partition(" (")[0] for row in rows if row["error"]] == ["the worker was lost"]
        # One node is enough to go on with.
        again = sweep(*typed, *on_cluster)
        assert (again.returncode, "1 to run, 3 done before" in again.stdout) == (0, True), again.stdout + again.stderr
        assert lasting(folder) == lasting(whole)
    finally:
        cluster.shutdown()


@pytest.mark.slow
@pytest.mark.forked
def test_a_cluster_that_has_ended_is_not_asked(sweep: Command) -> None:
    """Ray leaves the address of the last one. Without an address, a sweep starts a cluster of its own."""
    # Ray's sockets have a short path.
    with tempfile.TemporaryDirectory(prefix="r") as folder:
        (Path(folder) / "ray").mkdir()
        (Path(folder) / "ray/ray_current_cluster").write_text("127.0.0.1:1\n")
        done = sweep("seed=0,1", "hydra/launcher=ray", RAY_TMPDIR=folder)
    assert (done.returncode, counted(done.stdout).endswith(": 2 ok")) == (0, True), done.stdout + done.stderr
