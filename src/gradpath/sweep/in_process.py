"""The launcher `basic`: one job after the other in this process, for a debugger. What a job prints is seen."""

import os
import signal
import time

from gradpath.sweep.engine import INTERRUPTED, TERMINATED, Call, End


class InProcess:
    """Runs a job where it is handed in. A job that ends the interpreter ends the sweep."""

    places = 1

    def __init__(self) -> None:
        self._ended: list[tuple[str, End]] = []

    def submit(self, call: Call) -> None:
        from gradpath.sweep.worker import claimed

        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            code = claimed(call)
        finally:
            signal.signal(signal.SIGINT, before)
        self._ended.append((call.name, code))
        if code in (INTERRUPTED, TERMINATED):
            # The user stopped the job, and means the sweep.
            os.kill(os.getpid(), code - 128)

    def ended(self, seconds: float) -> list[tuple[str, End]]:
        if not self._ended:
            time.sleep(seconds)
        found, self._ended = self._ended, []
        return found

    def stop(self, now: bool) -> None:
        pass

    def stop_one(self, name: str) -> None:
        pass

    def close(self) -> None:
        pass
