"""The streams of a program: what is closed of them, `python train.py ... >&-`, and what their encoding cannot write."""

import os
import sys
from io import TextIOWrapper


def open_streams() -> None:
    """Opens what is closed of stdin, stdout and stderr, and lets stdout write any text.

    Where whoever started the program has closed a stream, nothing is read, and what is written is lost. Python has None in
    its place, and the next file to be opened would get its number: whatever prints from C would print into that file. What a
    user's own code has closed or taken away is opened again.

    In the encoding of the terminal a character may be missing (`PYTHONIOENCODING=ascii`). It is written as Python writes it
    on stderr, such as `\\xfc`.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        stream = getattr(sys, name)
        if stream is None or stream.closed:
            setattr(sys, name, _opened(number, getattr(sys, f"__{name}__"), mode))
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def _opened(number: int, first: TextIOWrapper | None, mode: str) -> TextIOWrapper:
    """A stream in the place of a closed one. `first` is the stream that the program began with."""
    if first is not None and not first.closed:
        return first
    try:
        os.fstat(number)
    except OSError:
        # The lowest free number is taken, which is this one: those below it are open by now. Jobs inherit it.
        os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    # Python's own stream leaves its file open when it is closed. Without one, the number may be any other file's.
    place = os.devnull if first is None else number
    return open(place, mode, closefd=first is None)  # type: ignore[return-value]
