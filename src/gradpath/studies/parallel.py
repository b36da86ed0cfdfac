"""Makes many calls at once, in processes that end with the one that started them."""

import os
import signal
import sys
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

Found = TypeVar("Found")


def in_parallel(function: Callable[..., Found], jobs: Mapping[str, tuple[Any, ...]], known: int = 0) -> dict[str, Found]:
    """`function(*arguments)` of every named job, as many at a time as there are cores, each on one thread; main thread only.

    Counts on stderr. However the caller ends, by Ctrl-C, an exception or SIGKILL, its processes end at once: each watches a
    pipe whose other end the caller alone holds.

    Args:
        function: of a module, so that other processes can import it. known: jobs that were done before, for the count.

    Raises:
        RunFailed: one of the processes was ended from outside.
        What `function` raises, the jobs that were still running then ended.
    """
    found: dict[str, Found] = {}
    # A process that has imported what they need, once for all calls, and is forked for each of them.
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
                print(f"\r{known + len(found)} of {known + len(jobs)}", end="", file=sys.stderr, flush=True)
        except BaseException as error:
            held.close()
            if found:
                print(file=sys.stderr)
            if isinstance(error, BrokenProcessPool):
                raise RunFailed("a process was ended from outside; is there enough memory?") from None
            raise
    print(file=sys.stderr)
    return found


@contextmanager
def _interrupts_deferred() -> Iterator[None]:
    """Ctrl-C waits until the processes stand. They never hear of it: they are the caller's to end, and a blocked signal is
    blocked in what is started meanwhile for good."""
    # Would unblock SIGINT when it starts.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(watched: Connection) -> None:
    # Small networks gain nothing from a second thread.
    torch.set_num_threads(1)
    # Networks whose gradients vanish below 1e-38 would take a hundred times as long, for numbers that change no weight.
    torch.set_flush_denormal(True)
    Thread(target=_end_with_caller, args=(watched,), daemon=True).start()


def _end_with_caller(watched: Connection) -> None:
    with suppress(EOFError, OSError):
        watched.recv()
    os._exit(1)
