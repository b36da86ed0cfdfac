"""Kills a sweep at random moments."""

import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

from board import wait_until
from conftest import Start
from gradpath.locks import CLAIM, is_held


def killed_and_resumed(times: int, dice: random.Random, begin: Start, folder: Path, typed: list[str], victim: str) -> int:
    """Kills a sweep, or jobs of it, at random moments, so many times, or until it is complete. Returns how many times.

    The same command is typed again whenever it has ended.
    """
    killed = 0
    while killed < times:
        process = begin(*typed, folder=folder)
        over = lambda process=process: process.poll() is not None  # noqa: E731
        while killed < times and not over():
            wait_until(lambda over=over: over() or claimed(folder))
            time.sleep(dice.uniform(0, 1.5 if victim == "sweep" else 0.7))
            if victim == "sweep":
                process.send_signal(signal.SIGKILL)
                killed += 1
                break
            killed += end_one(folder)
        process.communicate()
        if process.returncode == 0:
            break
    return killed


def claimed(folder: Path) -> list[Path]:
    """The folders of jobs that are running."""
    return [path.parent for path in folder.glob(f"*/{CLAIM}") if is_held(path.parent, CLAIM)]


def end_one(folder: Path) -> bool:
    """Kills the process of a running job; whether there was one."""
    for job in claimed(folder):
        # The file of a job that ends goes with it, and that of one that begins is still empty.
        with suppress(OSError, IndexError):
            os.kill(int((job / CLAIM).read_text().split()[1]), signal.SIGKILL)
            return True
    return False
