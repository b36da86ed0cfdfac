"""Runs a script, and kills the process with SIGKILL just before its N-th change to a folder.

    python kill_before.py N FOLDER COUNT train.py ...     N = 0: kill nothing

A change opens a file for writing, renames, removes, or makes a folder. Python announces each to audit hooks beforehand.
At the end of a process that was not killed, the file COUNT says how many changes there were.
"""

import atexit
import os
import runpy
import signal
import sys
from pathlib import Path
from typing import Any

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink"}
limit, folder, count = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
changes: list[str] = []


def audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in CHANGES and not (event == "open" and arguments[2] & WRITES):
        return
    # What is renamed may come from outside.
    paths = [os.fsdecode(path) for path in arguments[:2] if isinstance(path, str | bytes)]
    if not any(os.path.abspath(path).startswith(folder) for path in paths):  # noqa: PTH100
        return
    changes.append(f"{event} {paths[0]}")
    if len(changes) == limit:
        os.kill(os.getpid(), signal.SIGKILL)


atexit.register(lambda: count.write_text("\n".join(changes)))
sys.addaudithook(audit)
script = Path(sys.argv[4])
sys.argv[:] = sys.argv[4:]
sys.path.insert(0, str(script.parent.absolute()))
runpy.run_path(str(script), run_name="__main__")
