"""The launcher `local`: a process per job on this machine, forked from one that has imported torch and Lightning."""

import os
import signal
from collections.abc import Mapping
from multiprocessing import connection
from typing import Any

from gradpath.sweep.engine import INTERRUPTED, Call, End
from gradpath.sweep.forking import Child, Server


class Local:
    """Runs as many jobs at a time as there are places.

    Args:
        places: jobs at a time.
        devices: what CUDA_VISIBLE_DEVICES is for each place; none: it stays as it is.
        data: as for `Server`.
    """

    def __init__(self, places: int, devices: list[str], data: Mapping[str, Any] | None = None) -> None:
        self.places = places
        self._devices = devices
        self._running: dict[str, tuple[Child, int]] = {}
        # Jobs that wait for the process that they are forked from; those of them that were stopped.
        self._waiting: list[Call] = []
        self._stopped: list[str] = []
        self._server = Server(data)

    def submit(self, call: Call) -> None:
        self._waiting.append(call)
        if self._server.ready(0):
            self._start_all()

    def ended(self, seconds: float) -> list[tuple[str, End]]:
        if self._waiting and self._server.ready(seconds):
            self._start_all()
        elif not self._stopped:
            connection.wait([child.sentinel for child, _ in self._running.values()], seconds)
        found: list[tuple[str, End]] = [(name, INTERRUPTED) for name in self._stopped]
        self._stopped = []
        over = [name for name, (child, _) in self._running.items() if not child.lives()]
        return found + [(name, self._server.end(self._running.pop(name)[0])) for name in over]

    def stop(self, now: bool) -> None:
        self._stopped += [call.name for call in self._waiting]
        self._waiting = []
        for child, _ in self._running.values():
            child.send(signal.SIGKILL if now else signal.SIGINT)

    def stop_one(self, name: str) -> None:
        # A job that waits has no epoch yet for which it could be stopped.
        if name in self._running:
            self._running[name][0].send(signal.SIGINT)

    def close(self) -> None:
        self.stop(now=True)
        for child, _ in self._running.values():
            child.close()
        self._server.close()

    def _start_all(self) -> None:
        for call in self._waiting:
            taken = {place for _, place in self._running.values()}
            place = next(k for k in range(self.places) if k not in taken)
            device = {"CUDA_VISIBLE_DEVICES": self._devices[place]} if self._devices else {}
            self._running[call.name] = self._server.start(_work, call, device), place
        self._waiting = []


def _work(call: Call, device: Mapping[str, str]) -> int:
    """Where a job begins. Torch is imported there, and has not looked at its devices yet."""
    from gradpath.sweep.worker import work

    os.environ.update(device)
    return work(call)
