"""The launcher `local`: a process per job on this machine, forked from one that has imported torch and Lightning."""

import json
import os
import signal
import sys
from collections.abc import Mapping
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from gradpath.sweep.engine import INTERRUPTED, Call, End
from gradpath.sweep.forking import WORKER, Server

COMMON = "gradpath.sweep.common_data"


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
        # Jobs that wait for the process that they are forked from; those of them that were stopped.
        self._waiting: list[Call] = []
        self._stopped: list[str] = []
        if data is not None:
            # The process that jobs are forked from inherits the environment.
            os.environ["GRADPATH_COMMON_DATA"] = json.dumps(data)
        # A process that has imported what jobs need is forked itself.
        self._server = Server("fork" if WORKER in sys.modules else "forkserver", *([] if data is None else [COMMON]))
        # The jobs watch this pipe. However this process ends, they end with it.
        self._watched, self._held = self._server.context.Pipe(duplex=False)

    def submit(self, call: Call) -> None:
        self._waiting.append(call)
        if self._server.ready(0):
            self._start_all()

    def _start_all(self) -> None:
        while self._waiting:
            self._start(self._waiting.pop(0))

    def _start(self, call: Call) -> None:
        taken = {place for _, place in self._running.values()}
        place = next(k for k in range(self.places) if k not in taken)
        device = {"CUDA_VISIBLE_DEVICES": self._devices[place]} if self._devices else {}
        inherited = self._held if self._server.context.get_start_method() == "fork" else None
        process = self._server.context.Process(target=_start, args=(call, device, self._watched, inherited))
        self._server.start(process)
        self._running[call.name] = process, place

    def ended(self, seconds: float) -> list[tuple[str, End]]:
        if self._waiting and self._server.ready(seconds):
            self._start_all()
        elif not self._stopped:
            connection.wait([process.sentinel for process, _ in self._running.values()], seconds)
        found: list[tuple[str, End]] = [(name, INTERRUPTED) for name in self._stopped]
        self._stopped = []
        for name, (process, _) in [*self._running.items()]:
            code = process.exitcode
            if code is not None:
                process.join()
                process.close()
                del self._running[name]
                found.append((name, code))
        return found

    def stop(self, now: bool) -> None:
        self._stopped += [call.name for call in self._waiting]
        self._waiting = []
        for name in self._running:
            self._send(name, signal.SIGKILL if now else signal.SIGINT)

    def stop_one(self, name: str) -> None:
        # A job that waits has no epoch yet for which it could be stopped.
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
