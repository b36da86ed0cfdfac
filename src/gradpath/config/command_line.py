"""The command line of this process, as a text that can be typed again."""

import os
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

from gradpath.config.target_names import OWN, own_packages


def command_line() -> str:
    """As typed, quoted for a shell."""
    return shlex.join([Path(sys.executable).name, *sys.argv])


def trusting(packages: Iterable[str], command: str) -> str:
    """A command behind the variable by which it may use a user's own packages."""
    names = ",".join(dict.fromkeys(packages))
    return f"{OWN}={names} {command}" if names else command


def in_a_new_shell(command: str, packages: Iterable[str] = ()) -> str:
    """A command behind what it needs of this process's environment: the user's own packages, and where they are found.

    Args:
        packages: that it needs besides those which are trusted here.
    """
    trusted = [*own_packages(), *packages]
    places = os.environ.get("PYTHONPATH")
    return trusting(trusted, f"PYTHONPATH={shlex.quote(places)} {command}" if trusted and places else command)
