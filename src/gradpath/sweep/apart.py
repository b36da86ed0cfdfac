"""Runs a job in a child of a launcher's worker, so that a job that crashes takes no worker with it."""

import os
import signal
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from pathlib import Path

from gradpath.locks import CLAIM
from gradpath.sweep.engine import Call

# A launcher's worker may be on another machine. A file in the job's folder asks it to stop the job between two batches.
STOP = ".stop"
# Seconds between two looks for that file.
PAUSE = 0.5


def ask_to_stop(folder: Path) -> None:
    (folder / STOP).touch()


def forget_stop(folder: Path) -> None:
    (folder / STOP).unlink(missing_ok=True)


def run_apart(call: Call) -> int:
    """Runs a job in a process of its own and waits for it. Returns its exit code, or the negative number of a signal.

    The process is forked from a server that has imported torch. A worker that is given many jobs has one such server.
    """
    stop = call.folder / STOP
    if stop.exists():
        return 128 + signal.SIGINT
    context = get_context("forkserver")
    context.set_forkserver_preload(["gradpath.sweep.worker"])
    watched, held = context.Pipe(duplex=False)
    with watched, held:
        process = context.Process(target=_start, args=(call, watched))
        process.start()
        assert process.pid is not None
        asked = False
        while not connection.wait([process.sentinel], PAUSE):
            # A process that has claimed the job heeds a signal.
            if not asked and stop.exists() and (call.folder / CLAIM).exists():
                os.kill(process.pid, signal.SIGINT)
                asked = True
        process.join()
        code = process.exitcode
        process.close()
    assert code is not None
    return code


def _start(call: Call, watched: Connection) -> None:
    from gradpath.sweep.worker import work

    work(call, watched)
