"""`result.json`, which every other tool reads to learn about a run."""

import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning
import torch

from gradpath import __version__
from gradpath.config.checks import PROJECT
from gradpath.config.command_line import command_line
from gradpath.files import RESULT, write_json


def write_result(folder: Path, result: Mapping[str, Any]) -> None:
    """Writes `result.json` atomically."""
    write_json(folder / RESULT, result)


def new_result(
    choices: Mapping[str, str],
    seed: int,
    parameters: int,
    found: Mapping[str, Any],
    durations: Mapping[str, float],
    device: str,
) -> dict[str, Any]:
    """All keys of `result.json`, filled as far as they are known before training. `found` comes from an inspection."""
    return {
        "status": "ok",
        "error": None,
        "choices": dict(choices),
        "seed": seed,
        "parameters": parameters,
        "metrics": {},
        **found,
        "profile_end": None,
        "durations": durations,
        "environment": environment(device),
        "command": command_line(),
    }


def environment(device: str) -> dict[str, Any]:
    """Versions, device, threads, the git commit, and whether the git tree was clean."""
    return {
        "gradpath": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "lightning": lightning.__version__,
        "platform": platform.platform(),
        "device": device,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "git_commit": _git("rev-parse", "HEAD"),
        "git_clean": _git("status", "--porcelain") == "",
    }


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
