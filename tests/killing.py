"""Kills a sweep at random moments."""

import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

from board import wait_until
from conftest import Start


def killed_and_resumed(times: int, dice: random.Random, begin: Start, folder: Path, typed: list[str], victim: str) -> None:
    """Kills the sweep, or one of its jobs, at random moments, and types the same command again until it is complete."""
    for _ in range(times):
        process = begin(*typed, folder=folder)
        wait_until(lambda: [*folder.glob("*/.claim")], ended=lambda process=process: process.poll() is not None)
        time.sleep(dice.uniform(0, 1.5))
        if victim == "sweep":
            process.send_signal(signal.SIGKILL)
        else:
            for claim in folder.glob("*/.claim"):
                # A killed job leaves its file behind, and one that ends takes it along.
                with suppress(OSError):
                    words = claim.read_text().split()
                    if words:
                        os.kill(int(words[1]), signal.SIGKILL)
                        break
        process.communicate()
