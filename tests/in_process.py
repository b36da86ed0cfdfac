"""Runs a command line in the test's own process, which takes a fraction of a second."""

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gradpath.config.job import Job
from gradpath.config.launch import launch


def by_command(
    task: Callable[[Job], Any],
    arguments: list[str],
    logs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> tuple[int, str, str]:
    """Runs a command line in this process. Returns its exit code and what it printed."""
    capfd.readouterr()
    monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
    code: Any = 0
    handlers, level = logging.root.handlers[:], logging.root.level
    try:
        launch(task, logs=str(logs))
    except SystemExit as ended:
        code = ended.code
    finally:
        # hydra.verbose=true would make the next lines talk.
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)
    return 0 if code is None else code, *capfd.readouterr()


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
