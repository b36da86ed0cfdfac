"""Runs a job in a child of a launcher's worker, so that a job that crashes takes no worker with it."""

import signal
from contextlib import closing, suppress
from multiprocessing import connection
from pathlib import Path
from uuid import uuid4

from gradpath.sweep.engine import INTERRUPTED, Call, End
from gradpath.sweep.forking import Server

# A launcher's worker may be on another machine. A file in the job's folder asks it to stop the job between two batches, or
# at once if it says so. Two processes may share a sweep: the rest of the file's name says who asks.
STOP = ".stop."
NOW = "now"
# Seconds between two looks for that file.
PAUSE = 0.5


def new_stop() -> str:
    """The name of the file by which one process asks jobs to stop."""
    return f"{STOP}{uuid4().hex}"


def ask_to_stop(folder: Path, asks: str, now: bool = False) -> None:
    # Where no file can be written, a launcher that can ends the job at the second Ctrl-C.
    with suppress(OSError):
        (folder / asks).write_text(NOW if now else "")


def forget_stop(folder: Path, asks: str) -> None:
    with suppress(OSError):
        (folder / asks).unlink(missing_ok=True)


def remove_stops(folder: Path) -> None:
    """Removes what asks a job to stop that has come to its end, whoever asks, and whether that process still lives."""
    for path in folder.glob(f"{STOP}*"):
        forget_stop(folder, path.name)


def run_apart(call: Call, asks: str) -> End:
    """Runs a job in a process of its own and waits for it. Returns how that ended.

    The process is forked from a server that has imported torch. A worker that is given many jobs has one such server.

    Args:
        asks: the name of the file, in the job's folder, that asks it to stop.
    """
    stop = call.folder / asks
    if stop.exists():
        return INTERRUPTED
    with closing(Server()) as server:
        while not server.ready(PAUSE) or stop.exists():
            if stop.exists():
                return INTERRUPTED
        child = server.start(_work, call)
        asked = False
        while not connection.wait([child.sentinel], PAUSE):
            if not asked and stop.exists():
                child.send(signal.SIGINT)
                asked = True
            elif asked and _is_urgent(stop):
                child.send(signal.SIGKILL)
        return server.end(child)


def _is_urgent(stop: Path) -> bool:
    with suppress(OSError):
        return stop.read_text() == NOW
    return False


def _work(call: Call) -> int:
    from gradpath.sweep.worker import work

    return work(call)
