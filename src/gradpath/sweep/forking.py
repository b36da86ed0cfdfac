"""The process that jobs are forked from: it imports torch first, and nobody waits for it, so that Ctrl-C is heeded."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing import connection, get_context, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from threading import Event, Thread
from typing import Any

from gradpath.sweep.engine import End, Exited, Lost

# What multiprocessing says of a process whose server is gone; seconds until it surely says so of all of them.
UNKNOWN, PAUSE = 255, 1
WORKER, COMMON = "gradpath.sweep.worker", "gradpath.sweep.common_data"


class Child:
    """A forked process. What its function returns is told by a pipe: its exit code may be that of a user's code."""

    def __init__(self, process: BaseProcess, told: Connection) -> None:
        self.process, self._told = process, told

    @property
    def sentinel(self) -> int:
        """Can be waited for until the process ends."""
        return self.process.sentinel

    def lives(self) -> bool:
        return self.process.exitcode is None

    def send(self, number: signal.Signals) -> None:
        if self.lives() and self.process.pid is not None:
            os.kill(self.process.pid, number)

    def word(self) -> Any:
        """Waits for the end. Returns what the function returned; None if it did not come to that."""
        self.process.join()
        with suppress(EOFError, OSError):
            return self._told.recv() if self._told.poll() else None

    def close(self) -> None:
        self.process.join()
        self.process.close()
        self._told.close()


class Server:
    """Forks processes that have imported what jobs need. They end with this process, however it ends.

    Args:
        data: the configuration of images that are read once for all jobs; None: each job reads its own.
    """

    def __init__(self, data: Mapping[str, Any] | None = None) -> None:
        # A process that has imported what jobs need is forked itself.
        self._forks = WORKER in sys.modules
        self._context: Any = get_context("fork" if self._forks else "forkserver")
        self._watched, self._held = self._context.Pipe(duplex=False)
        self._ready = Event()
        self._canary: BaseProcess | None = None
        if data is not None:
            # The server inherits the environment.
            os.environ["GRADPATH_COMMON_DATA"] = json.dumps(data)
        if self._forks:
            self._ready.set()
        else:
            self._context.set_forkserver_preload([WORKER] if data is None else [WORKER, COMMON])
            # The thread waits for as long as the imports take.
            Thread(target=self._begin, daemon=True).start()

    def ready(self, seconds: float) -> bool:
        """Whether a process can be forked at once; waits for that, but at most this long."""
        return self._ready.wait(seconds)

    def start(self, function: Callable[..., Any], *arguments: Any) -> Child:
        """Calls a function in a process of its own. SIGINT waits there until the function heeds it."""
        told, tells = self._context.Pipe(duplex=False)
        others = (self._held, told) if self._forks else ()
        process = self._context.Process(target=_run, args=(function, arguments, self._watched, tells, others))
        with without_interrupts():
            process.start()
        tells.close()
        return Child(process, told)

    def end(self, child: Child) -> End:
        """How a job's process ended, which is closed."""
        word, code = child.word(), child.process.exitcode
        child.close()
        if isinstance(word, int):
            return word
        if code == UNKNOWN and self._canary and connection.wait([self._canary.sentinel], PAUSE):
            return Lost("the process that jobs are forked from was ended")
        assert code is not None
        return Exited(code)

    def close(self) -> None:
        self._held.close()
        self._watched.close()

    def _begin(self) -> None:
        """Has the server fork a process that does nothing, which it does when it has imported all. It lives as long."""
        try:
            # What is wrong with the server is found again by the first job, whose start then fails.
            with suppress(OSError, EOFError, ValueError), without_interrupts():
                canary = self._context.Process(target=_until_closed, args=(self._watched,), daemon=True)
                canary.start()
                self._canary = canary
        finally:
            self._ready.set()


@contextmanager
def without_interrupts() -> Iterator[None]:
    """What is started in this block inherits the mask: SIGINT is not lost there, but waits."""
    # The tracker starts with the first process, and its start would lift the mask.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run(
    function: Callable[..., Any], arguments: tuple[Any, ...], watched: Connection, tells: Connection, others: tuple[Any, ...]
) -> None:
    """Where a process begins. Torch is imported there, and has not looked at its devices yet."""
    for other in others:
        other.close()
    if not watched.poll():
        Thread(target=_end_with, args=(watched,), daemon=True).start()
        tells.send(function(*arguments))
    # Threads of torch's or TensorBoard's must not keep a job that has come to its end.
    os._exit(0)


def _end_with(watched: Connection) -> None:
    _until_closed(watched)
    os.kill(os.getpid(), signal.SIGKILL)


def _until_closed(watched: Connection) -> None:
    connection.wait([watched])
