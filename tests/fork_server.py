"""Answers each request with a forked child that is, to the script it runs, a fresh interpreter with its imports done.

    python fork_server.py SOCKET MODULE...     SOCKET: the number of an inherited socket; MODULE: what to import first

A request is one line of JSON, {"start": {...}} with the child's stdin, stdout and stderr beside it, {"poll": pid} or
{"signal": [pid, number]}; the answer is a number, or null for a child that still runs. The server ends, and its children
with it, when the other end of the socket closes.
"""

import atexit
import gc
import importlib
import json
import os
import signal
import socket
import sys
import types
from contextlib import suppress
from pathlib import Path
from typing import Any

# How a child ends, once that is known.
exit_codes: list[int] = []


def serve(requests: socket.socket) -> dict[str, Any] | None:
    """Answers requests. In the child: what it shall run; in the server, at the end: None."""
    running: set[int] = set()
    while True:
        message, descriptors, _, _ = socket.recv_fds(requests, 1 << 20, 3)
        if not message:
            for pid in running:
                os.kill(pid, signal.SIGKILL)
            return None
        ((kind, content),) = json.loads(message).items()
        if kind == "start":
            # A thread of the server would not be in the child, and what it held would stay held.
            assert len([*Path("/proc/self/task").iterdir()]) == 1, "the server has threads"
            pid = os.fork()
            if pid == 0:
                requests.close()
                os.setsid()
                for number, descriptor in enumerate(descriptors):
                    os.dup2(descriptor, number)
                os.closerange(3, max(descriptors) + 1)
                started: dict[str, Any] = content
                return started
            for descriptor in descriptors:
                os.close(descriptor)
            running.add(pid)
            answer = pid
        elif kind == "poll":
            ended, status = os.waitpid(content, os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if ended else None
            running -= {ended}
        else:
            os.kill(*content)
            answer = 0
        requests.sendall(json.dumps(answer).encode())


def become(arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    """Runs a script as `python SCRIPT ...` would; what it raises is left to the interpreter, which prints it and ends."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    script = Path(arguments[0])
    sys.argv, sys.path[0] = arguments, str(script.absolute().parent)
    main = types.ModuleType("__main__")
    main.__dict__.update(__file__=str(script.absolute()), __builtins__=__builtins__)
    sys.modules["__main__"] = main
    code: object = 1
    try:
        exec(compile(script.read_bytes(), str(script.absolute()), "exec"), main.__dict__)
        code = 0
    except SystemExit as ended:
        code = 0 if ended.code is None else ended.code
        raise
    except KeyboardInterrupt:
        code = None
        raise
    finally:
        # A sentence, or the signal of Ctrl-C, is for the interpreter to deal with.
        exit_codes.extend([code] if isinstance(code, int) else [])


def leave() -> None:
    """The last of the exit handlers: spares taking apart a thousand modules, half a second for each command."""
    if exit_codes:
        # Where it fails, the interpreter says so.
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(exit_codes[0] & 0xFF)


if __name__ == "__main__":
    # Before all others, which are called in the reverse order.
    atexit.register(leave)
    # Ctrl-C is for pytest; the server ends with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for module in sys.argv[2:]:
        importlib.import_module(module)
    # What is collected never again need not be copied for a child.
    gc.freeze()
    asked = serve(socket.socket(fileno=int(sys.argv[1])))
    if asked:
        become(asked["arguments"], asked["folder"], asked["environment"])
