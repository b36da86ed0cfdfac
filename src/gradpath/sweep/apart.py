"""Runs a job in a child of a launcher's worker, so that a job that crashes takes no worker with it."""

import os
import signal
from contextlib import suppress
from multiprocessing import connection
from multiprocessing.connection import Connection
from pathlib import Path
from uuid import uuid4

from gradpath.sweep.engine import INTERRUPTED, Call
from gradpath.sweep.forking import Server

# A launcher's worker may be on another machine. A file in the job's folder asks it to stop the job between two batches.
# Two processes may share a sweep: the rest of the file's name says who asks.
STOP = ".stop."
# Seconds between two looks for that file.
PAUSE = 0.5


def new_stop() -> str:
    """The name of the file by which one process asks jobs to stop."""
    return f"{STOP}{uuid4().hex}"


def ask_to_stop(folder: Path, asks: str) -> None:
    # Where no file can be written, a second Ctrl-C ends the job.
    with suppress(OSError):
        (folder / asks).touch()


def forget_stop(folder: Path, asks: str) -> None:
    with suppress(OSError):
        (folder / asks).unlink(missing_ok=True)


def remove_stops(folder: Path) -> None:
    """Removes what asks a job to stop that has come to its end, whoever asks, and whether that process still lives."""
    for path in folder.glob(f"{STOP}*"):
        forget_stop(folder, path.name)


def run_apart(call: Call, asks: str) -> int:
    """Runs a job in a process of its own and waits for it. Returns its exit code, or the negative number of a signal.

    The process is forked from a server that has imported torch. A worker that is given many jobs has one such server.

    Args:
        asks: the name of the file, in the job's folder, that asks it to stop.
    """
    stop = call.folder / asks
    if stop.exists():
        return INTERRUPTED
    server = Server()
    while not server.ready(PAUSE) or stop.exists():
        if stop.exists():
            return INTERRUPTED
    watched, held = server.context.Pipe(duplex=False)
    with watched, held:
        process = server.context.Process(target=_start, args=(call, watched))
        server.start(process)
        assert process.pid is not None
        asked = False
        while not connection.wait([process.sentinel], PAUSE):
            if not asked and stop.exists():
                os.kill(process.pid, signal.SIGINT)
                asked = True
        process.join()
        code: int = process.exitcode
        process.close()
    return code


def _start(call: Call, watched: Connection) -> None:
    from gradpath.sweep.worker import work

    work(call, watched)
