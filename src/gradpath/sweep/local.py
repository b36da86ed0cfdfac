"""The launcher `local`: a process per job on this machine, forked from one that has imported torch and Lightning."""

import json
import os
import signal
import sys
from collections.abc import Mapping
from multiprocessing import connection, get_context, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from gradpath.sweep.engine import Call, End

WORKER, COMMON = "gradpath.sweep.worker", "gradpath.sweep.common_data"


class Local:
    """Runs as many jobs at a time as there are places.

    Args:
        places: jobs at a time.
        devices: what CUDA_VISIBLE_DEVICES is for each place; none: it stays as it is.
        data: the configuration of images that are read once for all jobs; None: each job reads its own.
    """

    def __init__(self, places: int, devices: list[str], data: Mapping[str, Any] | None = None) -> None:
        self.places = places
        self._devices = devices
        self._running: dict[str, tuple[BaseProcess, int]] = {}
        # A process that has imported what jobs need is forked itself.
        self._context: Any = get_context("fork" if WORKER in sys.modules else "forkserver")
        self._context.set_forkserver_preload([WORKER] if data is None else [WORKER, COMMON])
        if data is not None:
            # The process that jobs are forked from inherits the environment.
            os.environ["GRADPATH_COMMON_DATA"] = json.dumps(data)
        # The jobs watch this pipe. However this process ends, they end with it.
        self._watched, self._held = self._context.Pipe(duplex=False)

    def submit(self, call: Call) -> None:
        taken = {place for _, place in self._running.values()}
        place = next(k for k in range(self.places) if k not in taken)
        device = {"CUDA_VISIBLE_DEVICES": self._devices[place]} if self._devices else {}
        inherited = self._held if self._context.get_start_method() == "fork" else None
        process = self._context.Process(target=_start, args=(call, device, self._watched, inherited))
        # The tracker and the server start with the first job; Ctrl-C is for this process alone. It is not lost, but waits:
        # the server inherits the mask, which its start must not find lifted by that of the tracker.
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._running[call.name] = process, place

    def ended(self, seconds: float) -> list[tuple[str, End]]:
        connection.wait([process.sentinel for process, _ in self._running.values()], seconds)
        found: list[tuple[str, End]] = []
        for name, (process, _) in [*self._running.items()]:
            code = process.exitcode
            if code is not None:
                process.join()
                process.close()
                del self._running[name]
                found.append((name, code))
        return found

    def stop(self, now: bool) -> None:
        for name in self._running:
            self._send(name, signal.SIGKILL if now else signal.SIGINT)

    def stop_one(self, name: str) -> None:
        if name in self._running:
            self._send(name, signal.SIGINT)

    def _send(self, name: str, number: signal.Signals) -> None:
        process, _ = self._running[name]
        if process.exitcode is None and process.pid is not None:
            os.kill(process.pid, number)

    def close(self) -> None:
        self.stop(now=True)
        for process, _ in self._running.values():
            process.join()
        self._held.close()
        self._watched.close()


def _start(call: Call, device: Mapping[str, str], watched: Connection, inherited: Connection | None) -> None:
    """Where a job's process begins. Torch is imported there, and has not looked at its devices yet."""
    from gradpath.sweep.worker import work

    if inherited:
        inherited.close()
    os.environ.update(device)
    work(call, watched)
