"""Saves pictures. Their paths are checked before anything is computed."""

from pathlib import Path
from typing import IO, Protocol

from gradpath.config.arguments import Value
from gradpath.errors import ConfigError, nearest
from gradpath.files import check_writable, relative, write_atomically

FORMATS = (".png", ".pdf", ".svg")
# The flag --out of a command that draws.
OUT = Value(Path, "FILE", help=f"where to write: {', '.join(FORMATS)}")


class Picture(Protocol):
    """What `save` needs of a matplotlib figure."""

    def savefig(self, fname: IO[bytes], *, format: str) -> None: ...


def checked_place(out: Path | None, default: Path) -> Path:
    """The path for a picture: `out`, or `default` if nothing was typed.

    Raises:
        ConfigError: the path is a folder or has another format; its folder does not exist or cannot be written to.
    """
    place = out or default
    if place.suffix.lower() not in FORMATS:
        raise ConfigError(f"--out {place}: must end in {', '.join(FORMATS)}.{nearest(place.suffix, FORMATS)}")
    if place.is_dir() or (out and not place.parent.is_dir()):
        raise ConfigError(f"--out {place}: {'is a folder' if place.is_dir() else f'there is no folder {place.parent}'}.")
    if place.parent.is_dir():
        try:
            check_writable(place.parent)
        except OSError as error:
            problem = f"the folder {place.parent} cannot be written to ({error.strerror})"
            raise ConfigError(f"--out {place}: {problem}.") from None
    return place


def save(figure: Picture, place: Path) -> None:
    """Writes a picture, whole or not at all, and prints its path. Raises OSError if it cannot."""
    place.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(place, lambda file: figure.savefig(file, format=place.suffix[1:].lower()))
    print(relative(place))
