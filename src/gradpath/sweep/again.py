"""The command lines that a user is told to type: how to go on with a sweep, how to make it again, or one job alone."""

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from gradpath.config.checks import PROJECT
from gradpath.config.command_line import in_a_new_shell
from gradpath.files import relative
from gradpath.sweep.plan import Plan

SWEEPS = PROJECT / "logs/sweeps"
# These say how a command goes on with a sweep, and where that is, not what the sweep consists of.
GOING_ON = ("sweep.resume=", "sweep.retry=", "sweep.join=", "sweep.dry_run=")
PLACE = ("sweep.name=", "hydra.sweep.dir=")
OPTIONS = "--config-dir"
# What runs failed jobs again, and no job that is done.
RETRY = "sweep.retry=failed"


def made_with(typed: str) -> str:
    """A command without what only says how it goes on."""
    return shlex.join(word for word in _words(typed) if not word.startswith(GOING_ON))


def to_continue(command: str, folder: Path, *more: str, packages: Iterable[str] = ()) -> str:
    """The command that goes on with a sweep, wherever its folder is now, quoted for a new shell.

    Args:
        folder: the sweep's.
        more: overrides that it needs besides.
        packages: the user's own that its jobs need.
    """
    words = [word for word in _words(command) if not word.startswith((*GOING_ON, *PLACE))]
    by_name = folder.resolve().parent == SWEEPS.resolve()
    place = f"sweep.name={folder.name}" if by_name else f"hydra.sweep.dir={relative(folder)}"
    return in_a_new_shell(shlex.join([*words, place, *more]), packages)


def made_again(command: str, packages: Iterable[str]) -> str:
    """A command as it makes its runs in a new shell: behind the user's own packages, if it needs any."""
    needed = [*packages]
    return in_a_new_shell(command, needed) if needed else command


def packages_of(plan: Plan, command: int) -> list[str]:
    """The user's own packages that the jobs of one of a sweep's commands need."""
    return [*dict.fromkeys(package for job in plan.jobs if job.command == command for package in job.packages)]


def places(text: str | Path) -> list[Path]:
    """Where a sweep may be that was typed: a path, or a name."""
    return [Path(text).expanduser(), SWEEPS / text]


def names_place(command: str) -> bool:
    """Whether a command says where its sweep is."""
    return any(word.startswith(PLACE) for word in _words(command))


def alone(command: str, overrides: Sequence[str]) -> str:
    """The command of a single run.

    Args:
        command: of the sweep, of which the folder of options is kept.
        overrides: of the job.
    """
    return shlex.join(["python", "train.py", *_option_folder(_words(command)), *overrides])


def _option_folder(typed: Sequence[str]) -> list[str]:
    """The --config-dir that was typed, as one word."""
    for k, text in enumerate(typed):
        name, sign, folder = text.partition("=")
        if name in (OPTIONS, "-cd") and (sign or k + 1 < len(typed)):
            return [f"{OPTIONS}={folder if sign else typed[k + 1]}"]
    return []


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        # Sweeps of version 0.1 have their command without quotes.
        return command.split()
