"""Makes many calls at once, in processes that end when the calling process ends."""

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any, TypeVar

import torch

from gradpath.errors import RunFailed
from gradpath.run.terminal import end_count, show_count

Found = TypeVar("Found")


def in_parallel(function: Callable[..., Found], jobs: Mapping[str, tuple[Any, ...]], known: int = 0) -> dict[str, Found]:
    """Calls `function(*arguments)` for every named job. As many run at a time as there are cores, each on one thread.

    Counts finished jobs. Must be called from the main thread. However the caller ends, by Ctrl-C, an exception or
    SIGKILL, its processes end at once: each watches a pipe whose other end only the caller holds.

    Args:
        function: defined at the top of a module, so that other processes can import it.
        jobs: name -> arguments.
        known: the number of jobs that were done before, for the count.

    Raises:
        RunFailed: one of the processes was ended from outside.
        Exception: whatever `function` raises. Jobs that are still running are then ended.
    """
    found: dict[str, Found] = {}
    # One process imports what the jobs need, once for all calls; the others are forked from it.
    context = get_context("forkserver")
    context.set_forkserver_preload([function.__module__])
    watched, held = context.Pipe(duplex=False)
    with (
        watched,
        held,
        ProcessPoolExecutor(os.cpu_count(), mp_context=context, initializer=_begin, initargs=(watched,)) as pool,
    ):
        try:
            with _interrupts_deferred():
                futures = {pool.submit(function, *arguments): name for name, arguments in jobs.items()}
            for future in as_completed(futures):
                found[futures[future]] = future.result()
                show_count(known + len(found), known + len(jobs))
        except BaseException as error:
            held.close()
            if found:
                end_count()
            if isinstance(error, BrokenProcessPool):
                raise RunFailed("a process was ended from outside; is there enough memory?") from None
            raise
    end_count()
    return found


@contextmanager
def _interrupts_deferred() -> Iterator[None]:
    """Delays Ctrl-C until the end of the block, in which processes are started.

    The processes inherit the blocked signal and keep it blocked, so that Ctrl-C reaches only the caller, which ends them.
    """
    # The tracker unblocks SIGINT when it starts, so it has to run before.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(watched: Connection) -> None:
    # Small networks gain nothing from a second thread.
    torch.set_num_threads(1)
    # Gradients below 1e-38 make arithmetic a hundred times slower, and are too small to change a weight.
    torch.set_flush_denormal(True)
    Thread(target=_end_with_caller, args=(watched,), daemon=True).start()


def _end_with_caller(watched: Connection) -> None:
    with suppress(EOFError, OSError):
        watched.recv()
    os._exit(1)
