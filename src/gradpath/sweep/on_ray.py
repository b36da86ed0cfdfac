"""The launcher `ray`: tasks of a Ray cluster; each starts the job's process and waits for it."""

import os
import time
from pathlib import Path
from typing import Any

from gradpath.errors import ConfigError, first_line
from gradpath.sweep.apart import ask_to_stop, forget_stop, new_stop, run_apart
from gradpath.sweep.engine import Call, End, Lost


class OnRay:
    """Hands jobs to Ray, which places them where there is room.

    Args:
        folder: the sweep's.
        jobs: jobs at a time; None: as many as the cluster has room for.
        threads, gpus: of each job.
        address: of a cluster, or `auto`; None starts one on this machine.

    Raises:
        ConfigError: there is no cluster at the address.
    """

    def __init__(self, folder: Path, jobs: int | None, threads: int, gpus: float, cores: int, address: str | None) -> None:
        # Ray prints a lost node's own log into the sweep's table; the job's error says that it was lost. Read at the import.
        os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
        import ray

        try:
            # Without an address Ray would look for a cluster that this machine was part of, which may have ended long ago.
            own: dict[str, Any] = {"address": "local", "num_cpus": cores, "include_dashboard": False}
            if address is not None:
                own = {"address": address}
            ray.init(log_to_driver=False, configure_logging=False, **own)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise ConfigError(f"hydra.launcher.address={address}: {first_line(error)}.") from None
        # Ray's own second try would run a job twice.
        self._task = ray.remote(run_apart).options(num_cpus=threads, num_gpus=gpus, max_retries=0)
        room = int(ray.cluster_resources().get("CPU", 1) // threads)  # type: ignore[no-untyped-call]
        self.places = max(1, jobs or room)
        self._folder, self._stop = folder, new_stop()
        # Ray's task -> the name of its job.
        self._running: dict[Any, str] = {}

    def submit(self, call: Call) -> None:
        self._running[self._task.remote(call, self._stop)] = call.name

    def ended(self, seconds: float) -> list[tuple[str, End]]:
        import ray

        if not self._running:
            time.sleep(seconds)
            return []
        ready, others = ray.wait([*self._running], num_returns=1, timeout=seconds)
        if others:
            ready += ray.wait(others, num_returns=len(others), timeout=0)[0]
        found = [(self._running.pop(task), _end(task)) for task in ready]
        for name, _ in found:
            forget_stop(self._folder / name, self._stop)
        return found

    def stop(self, now: bool) -> None:
        import ray

        for task, name in self._running.items():
            ask_to_stop(self._folder / name, self._stop, now)
            if now:
                ray.cancel(task, force=True)

    def stop_one(self, name: str) -> None:
        if name in self._running.values():
            ask_to_stop(self._folder / name, self._stop)

    def close(self) -> None:
        import ray

        ray.shutdown()
        for name in self._running.values():
            forget_stop(self._folder / name, self._stop)


def _end(task: Any) -> End:
    import ray

    try:
        ended: End = ray.get(task)
        return ended
    except ray.exceptions.RayError as error:
        return Lost(f"the worker was lost ({type(error).__name__})")
