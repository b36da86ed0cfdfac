"""What scripts of studies share: arguments and errors in one line, a place to write pictures to, Ctrl-C."""

import os
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NoReturn, Protocol

from gradpath.config.launch import fail, one_line_errors
from gradpath.errors import ConfigError, nearest
from gradpath.files import relative, write_atomically

FORMATS = (".png", ".pdf", ".svg")


class Picture(Protocol):
    """A matplotlib figure."""

    def savefig(self, fname: IO[bytes], *, format: str) -> None: ...


class Arguments(ArgumentParser):
    """A command line on which every mistake is answered in one line with what is allowed; exit code 2.

    Args:
        picture: it takes --out.
    """

    def __init__(self, doc: str | None, picture: bool = True) -> None:
        super().__init__(description=doc, formatter_class=RawDescriptionHelpFormatter, allow_abbrev=False)
        if picture:
            self.add_argument("--out", type=Path, metavar="FILE", help=f"where to write: {', '.join(FORMATS)}")

    def error(self, message: str) -> NoReturn:
        fail(f"{message}; --help shows what is allowed.")

    def read(self, typed: Sequence[str] | None = None) -> Namespace:
        """What was typed, on the command line unless it is given."""
        chosen, unknown = self.parse_known_intermixed_args(typed)
        if unknown:
            options = [name for action in self._actions for name in action.option_strings]
            allowed = " ".join(self.format_usage().split()[2:])
            fail(f"{unknown[0]}: not understood.{nearest(unknown[0], options)} Allowed: {allowed}.")
        return chosen


@contextmanager
def one_line_ends(hint: str) -> Iterator[None]:
    """`one_line_errors`, and Ctrl-C: one line with `hint`, exit code 130."""
    try:
        with one_line_errors():
            try:
                yield
            except BrokenPipeError:
                raise
            except OSError as error:
                raise ConfigError(
                    f"{error.filename or 'output'}: {error.strerror or error}; choose another place."
                ) from None
    except KeyboardInterrupt:
        fail(f"stopped; {hint}", code=130)


def checked_place(out: Path | None, default: Path) -> Path:
    """Where a picture goes; made sure of before anything is computed.

    Raises:
        ConfigError: another format, a folder that is not there or cannot be written to.
    """
    place = out or default
    if place.suffix.lower() not in FORMATS:
        raise ConfigError(f"--out {place}: must end in {', '.join(FORMATS)}.{nearest(place.suffix, FORMATS)}")
    if place.is_dir() or (out and not place.parent.is_dir()):
        raise ConfigError(f"--out {place}: {'is a folder' if place.is_dir() else f'there is no folder {place.parent}'}.")
    if place.parent.is_dir() and not os.access(place.parent, os.W_OK):
        raise ConfigError(f"--out {place}: the folder {place.parent} cannot be written to.")
    return place


def save(figure: Picture, place: Path) -> None:
    """Writes a picture, whole or not at all, and says where it is."""
    place.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(place, lambda file: figure.savefig(file, format=place.suffix[1:].lower()))
    print(relative(place))
