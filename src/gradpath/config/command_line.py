"""The command line of this process, as a text that can be typed again."""

import shlex
import sys
from pathlib import Path


def command_line() -> str:
    """As typed, quoted for a shell."""
    return shlex.join([Path(sys.executable).name, *sys.argv])
