"""Runs a job in a child of a launcher's worker, so that a job that crashes takes no worker with it."""

from multiprocessing import get_context
from multiprocessing.connection import Connection

from gradpath.sweep.engine import Call


def run_apart(call: Call) -> int:
    """Runs a job in a process of its own and waits for it. Returns its exit code, or the negative number of a signal.

    The process is forked from a server that has imported torch. A worker that is given many jobs has one such server.
    """
    context = get_context("forkserver")
    context.set_forkserver_preload(["gradpath.sweep.worker"])
    watched, held = context.Pipe(duplex=False)
    with watched, held:
        process = context.Process(target=_start, args=(call, watched))
        process.start()
        process.join()
        code = process.exitcode
        process.close()
    assert code is not None
    return code


def _start(call: Call, watched: Connection) -> None:
    from gradpath.sweep.worker import work

    work(call, watched)
