"""The command that makes one job of a sweep by itself."""

import shlex
from collections.abc import Sequence

FOLDER = "--config-dir"


def alone(typed: Sequence[str], overrides: Sequence[str]) -> str:
    """The command of a single run.

    Args:
        typed: the words of the sweep's command, of which the folder of options is kept.
        overrides: of the job.
    """
    return shlex.join(["python", "train.py", *_option_folder(typed), *overrides])


def _option_folder(typed: Sequence[str]) -> list[str]:
    """The --config-dir that was typed, as one word."""
    for k, text in enumerate(typed):
        name, sign, folder = text.partition("=")
        if name in (FOLDER, "-cd") and (sign or k + 1 < len(typed)):
            return [f"{FOLDER}={folder if sign else typed[k + 1]}"]
    return []
