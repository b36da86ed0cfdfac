"""A Ray cluster of several nodes, one of which is lost in the middle of a sweep."""

from pathlib import Path

import pytest

from board import wait_until
from conftest import Command, Start
from sweeping import lasting, results


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_node_that_is_lost_costs_its_jobs_only(begin: Start, sweep: Command, tmp_path: Path) -> None:
    from ray.cluster_utils import Cluster

    folder, whole = tmp_path / "sweep", tmp_path / "whole"
    typed = ("seed=range(8)", "trainer.max_epochs=20")
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
        status = [result["status"] for result in results(folder).values()]
        assert (status.count("ok"), status.count("failed")) == (7, 1), out
        lost = next(result for result in results(folder).values() if result["status"] == "failed")
        assert lost["error"].startswith("the worker was lost")
        # One node is enough to go on with.
        again = sweep(*typed, *on_cluster)
        assert (again.returncode, "1 to run, 7 done before" in again.stdout) == (0, True), again.stdout + again.stderr
        assert lasting(folder) == lasting(whole)
    finally:
        cluster.shutdown()
