"""The launcher `slurm`: jobs of a cluster, by submitit; each starts the job's process and waits for it."""

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gradpath.errors import ConfigError
from gradpath.sweep.apart import ask_to_stop, forget_stop, new_stop, run_apart
from gradpath.sweep.engine import INTERRUPTED, Call, End, Lost
from gradpath.sweep.forking import without_interrupts

# Where submitit keeps its scripts, pickles and logs, in the sweep's folder.
FOLDER = ".submitit"
# Seconds between two looks at a cluster that jobs have been cancelled in.
PAUSE = 3


class Slurm:
    """Submits jobs as arrays: all that have been handed in between two looks.

    Args:
        folder: the sweep's.
        places: jobs at a time.
        threads: of each job.
        cluster: `slurm`, or `local` to try a sweep without a cluster.
        parameters: submitit's, such as `timeout_min`, `slurm_partition` or `gpus_per_node`.

    Raises:
        ConfigError: submitit refuses a parameter.
    """

    def __init__(self, folder: Path, places: int, threads: int, cluster: str, parameters: Mapping[str, Any]) -> None:
        from submitit import AutoExecutor

        self.places = places
        try:
            self._executor = AutoExecutor(folder / FOLDER, cluster=cluster)
            shared = {"cpus_per_task": threads, "tasks_per_node": 1, "nodes": 1}
            arrays = {} if cluster == "local" else {"slurm_array_parallelism": places}
            self._executor.update_parameters(**shared | arrays | dict(parameters))
        except (RuntimeError, NameError, ValueError, TypeError) as error:
            raise ConfigError(f"hydra/launcher=slurm: {error}") from None
        self._folder, self._stop = folder, new_stop()
        self._waiting: list[Call] = []
        # Those that were stopped before they were submitted.
        self._stopped: list[str] = []
        self._running: dict[str, Any] = {}
        self._cancelled: set[str] = set()
        # When a cluster that jobs are cancelled in is asked for them next; never before any are.
        self._next_look = math.inf

    def submit(self, call: Call) -> None:
        self._waiting.append(call)

    def ended(self, seconds: float) -> list[tuple[str, End]]:
        self._submit_all()
        self._look()
        done = {name: job for name, job in self._running.items() if job.done()}
        found: list[tuple[str, End]] = [(name, _end(job, name in self._cancelled)) for name, job in done.items()]
        if not found:
            time.sleep(seconds)
        for name, _ in found:
            forget_stop(self._folder / name, self._stop)
            del self._running[name]
        found += [(name, INTERRUPTED) for name in self._stopped]
        self._stopped = []
        return found

    def stop(self, now: bool) -> None:
        self._stopped += [call.name for call in self._waiting]
        self._waiting = []
        for name, job in self._running.items():
            ask_to_stop(self._folder / name, self._stop, now)
            # A job that waits in the queue has nothing to finish.
            if now or job.state == "PENDING":
                job.cancel()
                self._cancelled.add(name)
                self._next_look = time.monotonic()

    def stop_one(self, name: str) -> None:
        if name in self._running:
            ask_to_stop(self._folder / name, self._stop)

    def close(self) -> None:
        self.stop(now=True)
        for name in self._running:
            forget_stop(self._folder / name, self._stop)

    def _look(self) -> None:
        """Asks the cluster for the state of its jobs: submitit does so once a minute, and cancelled jobs leave nothing."""
        if self._executor.cluster == "slurm" and time.monotonic() >= self._next_look:
            for job in [*self._running.values()][:1]:
                job.watcher.update()
            self._next_look = time.monotonic() + PAUSE

    def _submit_all(self) -> None:
        if not self._waiting:
            return
        # What submitit starts here would otherwise take each Ctrl-C for its own, and say so in a traceback.
        with without_interrupts(), self._executor.batch():
            jobs = [(call.name, self._executor.submit(run_apart, call, self._stop)) for call in self._waiting]
        self._running |= dict(jobs)
        self._waiting = []


def _end(job: Any, cancelled: bool) -> End:
    """How a job of the cluster ended."""
    from submitit.core.utils import FailedJobError, UncompletedJobError

    # For a result that is not there, submitit waits half a minute.
    if cancelled and not job.paths.result_pickle.exists():
        return Lost(f"the cluster's job was cancelled ({job.state})")
    try:
        ended: End = job.result()
        return ended
    except (UncompletedJobError, FailedJobError):
        return Lost(f"the cluster's job ended without a result ({job.state})")
