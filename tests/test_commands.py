"""A forked command exits, prints and reacts to signals as a new interpreter does."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands import Forked, ForkServer, ended, fresh_process

SCRIPTS = {
    "success": "import sys; print('said', sys.argv[1:], __name__); print('aside', file=sys.stderr)",
    "code": "raise SystemExit(7)",
    "none": "raise SystemExit(None)",
    "large_code": "raise SystemExit(258)",
    "sentence": "raise SystemExit('no such thing')",
    "interrupted": "raise KeyboardInterrupt",
    "exit_handler": "import atexit; atexit.register(print, 'last words'); print('first')",
    "environment": "import os; print(os.getcwd(), os.environ['MARK'], os.isatty(0), os.read(0, 1))",
    "beside_it": "import neighbour; print(neighbour.__file__)",
    "unprintable": "import os; os.close(1); print('x')",
}


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    started = ForkServer(os.environ | {"MARK": "7"}, ())
    yield started
    started.close()


def both(server: ForkServer, folder: Path, text: str, *typed: str) -> "list[subprocess.CompletedProcess[str]]":
    """Runs a script twice: forked, and in a new interpreter."""
    (folder / "script.py").write_text(text)
    forked = server.start(("script.py", *typed), folder)
    return [ended(forked), ended(fresh_process("script.py", *typed, folder=folder, environment=server.environment))]


@pytest.mark.parametrize("name", SCRIPTS)
def test_as_a_fresh_interpreter(server: ForkServer, tmp_path: Path, name: str) -> None:
    (tmp_path / "neighbour.py").touch()
    forked, fresh = both(server, tmp_path, SCRIPTS[name], "a=1", "b c")
    assert (forked.returncode, forked.stdout) == (fresh.returncode, fresh.stdout)
    assert forked.stderr.splitlines()[-1:] == fresh.stderr.splitlines()[-1:]


def test_an_exception(server: ForkServer, tmp_path: Path) -> None:
    for done in both(server, tmp_path, "def f():\n    return 1 / 0\n\nf()\n"):
        assert done.returncode == 1
        assert done.stderr.startswith("Traceback")
        assert "line 2, in f" in done.stderr
        assert done.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_the_functions_of_a_script_reach_other_processes(server: ForkServer, tmp_path: Path) -> None:
    text = (
        "import multiprocessing as m\n\ndef f(x):\n    return 2 * x\n\n"
        "if __name__ == '__main__':\n    with m.get_context('spawn').Pool(1) as pool:\n        print(pool.map(f, [1, 2]))\n"
    )
    assert [done.stdout for done in both(server, tmp_path, text)] == ["[2, 4]\n"] * 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_signals(server: ForkServer, tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "script.py").write_text("import pathlib, time\npathlib.Path('begun').touch()\ntime.sleep(600)\n")
    process: Forked = server.start(("script.py",), tmp_path)
    while not (tmp_path / "begun").exists():
        time.sleep(0.01)
    assert process.poll() is None
    process.send_signal(number)
    process.communicate()
    assert process.returncode == -number


def test_what_is_left_ends_with_the_server(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import time\ntime.sleep(600)\n")
    server = ForkServer(dict(os.environ), ())
    process = server.start(("script.py",), tmp_path)
    server.close()
    deadline = time.monotonic() + 240
    while Path(f"/proc/{process.pid}").exists() and "Z" not in Path(f"/proc/{process.pid}/stat").read_text().split()[2]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
