"""Runs commands in a copy of the project: forked from a process that has imported what they need, or in new interpreters."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
# These imports take up a command's first seconds.
HEAVY = (
    "torchvision", "lightning.pytorch", "torch.utils.tensorboard", "matplotlib.pyplot", "gradpath.run.train",
    "gradpath.run.evaluate", "gradpath.sweep.worker", "gradpath.studies.trainings", "gradpath.studies.backpropagation",
    "optuna",
)  # fmt: skip
# These imports do without torch. None is our own package, so that a command still imports that itself.
LIGHT = ("hydra.main", "omegaconf", "hydra.core.plugins")
# Seconds until a process that hangs is killed. It is no measure of speed.
PATIENCE = 240


def environment(project: Path, *before: Path) -> dict[str, str]:
    """The environment variables with which Python imports the package of the copy `project`.

    Args:
        before: folders that are searched first.
    """
    path = os.pathsep.join(map(str, (*before, project / "src")))
    return os.environ | {"PYTHONPATH": path, "COLUMNS": "80"}


class Forked:
    """A child of the server, with those methods of `subprocess.Popen` that the tests use."""

    def __init__(self, server: "ForkServer", pid: int, out: Any, err: Any) -> None:
        self._server, self.pid, self._out, self._err = server, pid, out, err
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._server.ask({"poll": self.pid})
        return self.returncode

    def wait(self, timeout: float = PATIENCE) -> int:
        deadline, pause = time.monotonic() + timeout, 0.001
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                self.kill()
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
            time.sleep(pause)
            pause = min(2 * pause, 0.02)
        return code

    def communicate(self, timeout: float = PATIENCE) -> tuple[str, str]:
        self.wait(timeout)
        texts = []
        for file in (self._out, self._err):
            file.seek(0)
            texts.append(file.read())
            file.close()
        return texts[0], texts[1]

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            self._server.ask({"signal": [self.pid, int(number)]})

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """A process that forks one child for each command; see fork_server.py."""

    def __init__(self, environment: dict[str, str], modules: tuple[str, ...]) -> None:
        self.environment = environment
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "fork_server.py"), str(theirs.fileno()), *modules],
            env=environment, pass_fds=[theirs.fileno()], start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        theirs.close()
        self._files: list[Any] = []

    def ask(self, request: dict[str, Any], files: tuple[int, ...] = ()) -> Any:
        socket.send_fds(self._socket, [json.dumps(request).encode()], files)
        answer = self._socket.recv(1 << 10)
        assert answer, "the server has ended"
        return json.loads(answer)

    def start(
        self,
        arguments: tuple[str, ...],
        folder: Path,
        stdout: int | None = None,
        extra: Mapping[str, str] | None = None,
        stderr: int | None = None,
    ) -> Forked:
        """Starts a script.

        Args:
            stdout, stderr: descriptors to write to instead of the files that `communicate` reads.
            extra: more environment variables.
        """
        variables = {**self.environment, **(extra or {})}
        out, err = (tempfile.TemporaryFile("w+") for _ in range(2))  # noqa: SIM115 -- closed by communicate() or close()
        self._files += [out, err]
        with Path(os.devnull).open() as nothing:
            pid = self.ask(
                {"start": {"arguments": arguments, "folder": str(folder), "environment": variables}},
                (nothing.fileno(), out.fileno() if stdout is None else stdout, err.fileno() if stderr is None else stderr),
            )
        return Forked(self, pid, out, err)

    def close(self) -> None:
        """Ends the server and those of its children that still run."""
        self._socket.close()
        self._process.wait()
        for file in self._files:
            file.close()


def heeds_interrupts() -> None:
    """For Popen's `preexec_fn`. A shell that starts the tests in the background makes their children ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def fresh_process(*arguments: str, folder: Path, environment: dict[str, str], **options: Any) -> "subprocess.Popen[str]":
    """Starts a script in a new interpreter. `options` are passed on to Popen."""
    usual = {
        "stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "start_new_session": True,
        "preexec_fn": heeds_interrupts,
    }  # fmt: skip
    return subprocess.Popen([sys.executable, *arguments], cwd=folder, env=environment, text=True, **usual | options)


def ended(process: "Forked | subprocess.Popen[str]") -> "subprocess.CompletedProcess[str]":
    """Waits until a process has ended. Returns what it printed and its exit code."""
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode is not None
    return subprocess.CompletedProcess([], process.returncode, out, err)


def refuse(done: "subprocess.CompletedProcess[str]", message: str) -> None:
    """Wrong input: exit code 2, and one line on stderr."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
