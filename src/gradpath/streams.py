"""The streams that a program begins with, where whoever started it has closed one: `python train.py ... >&-`."""

import os
import sys


def open_streams() -> None:
    """Opens what is closed of stdin, stdout and stderr: nothing is read there, and what is written is lost.

    Python has None in the place of a closed stream, and the next file to be opened would get its number: whatever prints
    from C would print into that file.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            try:
                os.fstat(number)
            except OSError:
                # The lowest free number is taken, which is this one: those below it are open by now. Jobs inherit it.
                os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115 - Path.open's would be the same
