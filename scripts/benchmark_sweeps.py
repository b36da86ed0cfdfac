"""What a sweep costs: runs of 10, 100 and 1000 tiny jobs, and what reading them
back takes. Needs Linux. Takes about ten minutes on two cores.

    python scripts/benchmark_sweeps.py [largest=1000]

A job trains XOR for three epochs of 20 steps. `x fair share` compares the time
of the sweep with the least that its runs need: the sum of the runs' own times,
over the cores, and the time until the first job began.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gradpath.config.arguments import Command, Keys, Value, one_line_ends, whole
from gradpath.config.checks import PROJECT
from gradpath.files import LOG, REPORT, RESULT
from gradpath.sweep.launchers import cores

JOB = ("data=xor", "data.steps_per_epoch=20", "model.hidden=[6,6]", "trainer.max_epochs=3", "trainer.accelerator=cpu")
COLUMNS = ("jobs", "sweep, s", "x fair share", "parent, MiB", "its files", "compare.py, s", "MiB", "report.py, s", "MiB",
           "its KB", "the tab's list, s")  # fmt: skip
TENSORBOARD = Path(sys.executable).with_name("tensorboard")


@dataclass
class Parent:
    """What the process that conducts a sweep took: the time until its first job began, bytes, open files."""

    began: float = 0.0
    memory: int = 0
    files: int = 0


def sweep(jobs: int, folder: Path) -> tuple[float, Parent]:
    """Runs a sweep in `folder`. Returns its seconds, and what its process took."""
    typed = [str(PROJECT / "train.py"), "-m", *JOB, f"seed=range({jobs})", "sweep.limit=1000000"]
    parent = Parent()
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, *typed, f"hydra.sweep.dir={folder}"], stdout=subprocess.DEVNULL)
    watcher = threading.Thread(target=watch, args=(process, folder, start, parent))
    watcher.start()
    if process.wait():
        raise SystemExit(process.returncode)
    seconds = time.perf_counter() - start
    watcher.join()
    return seconds, parent


def watch(process: "subprocess.Popen[bytes]", folder: Path, start: float, parent: Parent) -> None:
    while process.poll() is None:
        if not parent.began and next(folder.glob(f"*/{LOG}"), None):
            parent.began = time.perf_counter() - start
        with suppress(OSError, IndexError):
            status = Path(f"/proc/{process.pid}/status").read_text()
            parent.memory = max(parent.memory, int(status.split("VmRSS:")[1].split()[0]) * 1024)
            parent.files = max(parent.files, sum(1 for _ in Path(f"/proc/{process.pid}/fd").iterdir()))
        time.sleep(0.05)


def own_times(folder: Path) -> float:
    """The sum of the seconds that the runs of a sweep took by themselves."""
    results = [json.loads(path.read_text()) for path in folder.glob(f"*/{RESULT}")]
    return sum(sum(result["durations"].values()) for result in results)


def timed(*typed: str) -> tuple[float, float]:
    """Runs a script. Returns its seconds and its largest memory in MiB."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, *typed], stdout=subprocess.DEVNULL)
    _, code, used = os.wait4(process.pid, 0)
    process.returncode = code
    if code:
        raise SystemExit(1)
    return time.perf_counter() - start, used.ru_maxrss / 1024


def listing(folder: Path, jobs: int) -> float:
    """Seconds until the tab's list of runs has come from a TensorBoard that answers, the first time it is asked for."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [TENSORBOARD, "--logdir", folder, "--host", "127.0.0.1", "--port", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        answered = False
        while not answered and server.poll() is None:
            with suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/data/environment", timeout=60).read()
                answered = True
            time.sleep(0.1)
        start = time.perf_counter()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/data/plugin/gradient_flow/runs", timeout=60) as answer:
            assert len(json.load(answer)["runs"]) == jobs
        return time.perf_counter() - start
    finally:
        server.terminate()
        server.wait()


def row(jobs: int, folder: Path) -> list[str]:
    """A row of the table, from a sweep that is made in `folder`."""
    seconds, parent = sweep(jobs, folder)
    fair = own_times(folder) / cores() + parent.began
    compared = timed(str(PROJECT / "scripts/compare.py"), str(folder))
    reported = timed(str(PROJECT / "scripts/report.py"), str(folder))
    size = (folder / REPORT).stat().st_size / 1000
    cells = (seconds / fair, parent.memory / 2**20, parent.files)
    return [
        str(jobs), f"{seconds:.1f}", f"{cells[0]:.2f}", f"{cells[1]:.0f}", str(cells[2]),
        f"{compared[0]:.1f}", f"{compared[1]:.0f}", f"{reported[0]:.1f}", f"{reported[1]:.0f}", f"{size:.0f}",
        f"{listing(folder, jobs):.3f}",
    ]  # fmt: skip


def main() -> None:
    chosen = Command(__doc__, keys={"": Keys({"largest": Value(whole(10), "N", default=1000)})}).read()
    print(f"| {' | '.join(COLUMNS)} |\n|{len(COLUMNS) * '---|'}", flush=True)
    jobs = 10
    while jobs <= chosen.largest:
        with tempfile.TemporaryDirectory() as folder:
            print(f"| {' | '.join(row(jobs, Path(folder, 'sweep')))} |", flush=True)
        jobs *= 10


if __name__ == "__main__":
    with one_line_ends("nothing was written."):
        main()
