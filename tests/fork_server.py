"""Runs scripts in forked children. To its script, each child is a new interpreter that has done its imports already.

    python fork_server.py SOCKET MODULE...     SOCKET: the number of an inherited socket; MODULE: what to import first

A request is one message in JSON: {"start": {...}}, sent with the descriptors of the child's stdin, stdout and stderr;
{"poll": pid}; or {"signal": [pid, number]}. The answer is a number, or null for a child that still runs. When the other end
of the socket closes, the server ends and its children with it.
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

# In a child: its exit code, once that is known.
exit_codes: list[int] = []


def serve(requests: socket.socket) -> dict[str, Any] | None:
    """Answers requests until the socket closes, and then returns None. In a child, returns what the child has to run."""
    running: set[int] = set()
    while True:
        message, descriptors, _, _ = socket.recv_fds(requests, 1 << 20, 3)
        if not message:
            for pid in running:
                os.kill(pid, signal.SIGKILL)
            return None
        ((kind, content),) = json.loads(message).items()
        if kind == "start":
            # A thread of the server would not exist in the child, and locks that it held would stay locked.
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
    """Runs a script as `python SCRIPT ...` would. What it raises is left to the interpreter, which prints it and exits."""
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
        # If the exit code is a sentence, or Ctrl-C was pressed, the interpreter deals with it.
        exit_codes.extend([code] if isinstance(code, int) else [])


def leave() -> None:
    """Ends a child at once, as the last exit handler. Tearing down a thousand modules would take half a second."""
    if exit_codes:
        # If the output cannot be written, the interpreter goes on and reports it.
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(exit_codes[0] & 0xFF)


if __name__ == "__main__":
    # Exit handlers are called in reverse order, so the first one that is registered runs last.
    atexit.register(leave)
    # Ctrl-C is meant for pytest; the server ends when pytest does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for module in sys.argv[2:]:
        importlib.import_module(module)
    # Frozen objects are not touched by garbage collection, so their memory is not copied for a child.
    gc.freeze()
    asked = serve(socket.socket(fileno=int(sys.argv[1])))
    if asked:
        become(asked["arguments"], asked["folder"], asked["environment"])
