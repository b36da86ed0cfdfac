"""The process that jobs are forked from: it imports torch first, and nobody waits for it, so that Ctrl-C is heeded."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context, resource_tracker
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from threading import Event, Thread
from typing import Any

WORKER = "gradpath.sweep.worker"


class Server:
    """Forks processes that have imported what jobs need.

    Args:
        context: of multiprocessing: `forkserver`; or `fork`, if this process has imported it itself.
        modules: what the server imports.
    """

    def __init__(self, context: str = "forkserver", *modules: str) -> None:
        self.context: Any = get_context(context)
        self._ready = Event()
        if context == "fork":
            self._ready.set()
        else:
            self.context.set_forkserver_preload([WORKER, *modules])
            # The thread waits for as long as the imports take.
            Thread(target=_begin, args=(self.context, self._ready), daemon=True).start()

    def ready(self, seconds: float) -> bool:
        """Whether a process can be forked at once; waits for that, but at most this long."""
        return self._ready.wait(seconds)

    def start(self, process: BaseProcess) -> None:
        """Starts a process of this context. Ctrl-C is not for it; a signal that is sent to it waits until it is heeded."""
        with _without_interrupts():
            process.start()


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """What is started in this block inherits the mask: SIGINT is not lost there, but waits."""
    # The tracker starts with the first process, and its start would lift the mask.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(context: BaseContext, ready: Event) -> None:
    """Has the server fork a process that does nothing, which it does when it has imported all."""
    try:
        # What is wrong with the server is found again by the first job, whose start then fails.
        with suppress(OSError, EOFError), _without_interrupts():
            process: Any = context.Process(target=_nothing)  # type: ignore[attr-defined]
            process.start()
            process.join()
            process.close()
    finally:
        ready.set()


def _nothing() -> None:
    pass
