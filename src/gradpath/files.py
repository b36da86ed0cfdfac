"""Writes files so that a reader never sees half of one, even if the writer is killed; names a run's files."""

import json
import math
import os
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any
from uuid import uuid4

from gradpath.errors import ConfigError

# What a run and a sweep leave in their folders. The rooms that read these need not import the rooms that write them.
CONFIG, OVERRIDES, RESULT, CURVES = "config.yaml", "overrides.yaml", "result.json", "metrics.csv"
SWEEP, LOG, SUMMARY, FAILURES = "sweep.yaml", "job.log", "summary", "failures"
REPORT = "report.html"
# The names that `temporary` and `aside` give to a run's files (these, its record, divergence, checkpoints, a study's mark),
# to a report, and to a sweep's.
TEMPORARY = re.compile(
    r"\.(config\.yaml|overrides\.yaml|result\.json|metrics\.csv|flow\.npz|divergence\.json|(last|best)\.ckpt|made_by"
    r"|report\.html|sweep\.yaml|summary\.(csv|md))\.(\d+(-[0-9a-f]{8})?|before)"
)
# Processes of two machines that share a folder may have one number.
MACHINE = uuid4().hex[:8]


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Calls `write` with a temporary file in the folder of `path`, then renames it to `path`.

    Raises:
        OSError: the folder is read-only or full; `path` is then unchanged.
    """
    written = temporary(path)
    try:
        with written.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        written.replace(path)
    except BaseException as error:
        written.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename in (None, str(written)):
            # A full disk names no file, and nobody knows the temporary one.
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def check_writable(folder: Path) -> None:
    """Raises OSError if no file can be written to `folder`. It is tried, because permissions alone do not tell."""
    try:
        with TemporaryFile(dir=folder) as file:
            file.write(b"1")
            file.flush()
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder)) from None


def check_current() -> None:
    """Raises ConfigError if the current folder has been deleted: torch cannot be loaded there."""
    try:
        Path.cwd()
    except OSError as error:
        raise ConfigError(f"the current folder cannot be used ({error.strerror}); cd to another one.") from None


def remove_leftovers(folder: Path) -> None:
    """Removes a run's temporary files of killed writers, what was kept aside, and nothing that is not ours.

    Only the process that holds the folder may call this.
    """
    if folder.is_symlink():
        return
    for path in folder.glob(".*"):
        if TEMPORARY.fullmatch(path.name) and path.is_file():
            path.unlink(missing_ok=True)


def temporary(path: Path) -> Path:
    """Where this process writes what is to become `path`."""
    return path.with_name(f".{path.name}.{os.getpid()}-{MACHINE}")


def aside(path: Path) -> Path:
    """Where a file of a run is kept while the run that goes on may still fail."""
    return path.with_name(f".{path.name}.before")


def open_regular(path: Path) -> IO[bytes]:
    """Opens a file for reading. Nobody waits for the writer of a pipe that has taken the file's place.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path}: no regular file")
    return os.fdopen(descriptor, "rb")


def read_regular(path: Path, largest: int) -> bytes:
    """The content of a file that may be anybody's.

    Args:
        largest: bytes.

    Raises:
        ConfigError: it is missing, no regular file, or too large. The text does not name the file.
    """
    try:
        with open_regular(path) as file:
            # Of a file that is too large nothing is read, unless it has grown since.
            too_large = os.fstat(file.fileno()).st_size > largest
            data = b"" if too_large else file.read(largest + 1)
    except FileNotFoundError:
        raise ConfigError("missing.") from None
    except OSError as error:
        raise ConfigError(f"{error.strerror or 'must be a file'}.") from None
    if too_large or len(data) > largest:
        raise ConfigError(f"damaged (larger than {largest >> 20} MB).")
    return data


def write_text(path: Path, text: str) -> None:
    """Writes `text` in UTF-8 with `write_atomically`."""
    write_atomically(path, lambda file: file.write(text.encode()))


def write_json(path: Path, content: Any) -> None:
    """Writes JSON with `write_atomically`."""
    write_text(path, as_json(content))


def as_json(content: Any) -> str:
    """The lines of JSON. NaN and infinities become strings: JSON has no such numbers."""
    return json.dumps(_json(content), indent=2, allow_nan=False) + "\n"


def _json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def absolute(folder: str) -> Path:
    """The folder that was typed. Raises ConfigError for a name that is not UTF-8, where TensorBoard cannot write."""
    path = os.path.abspath(folder)  # noqa: PTH100 - without the .. that absolute() leaves
    try:
        path.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{path}: the name is not UTF-8, so that TensorBoard cannot write there.") from None
    return Path(path)


def relative(path: Path) -> str:
    """The path as the user would type it: relative to the current folder if inside it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
