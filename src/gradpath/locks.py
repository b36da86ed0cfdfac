"""One process at a time works in a folder. Its lock ends with the process, however that ends."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from gradpath.errors import ConfigError
from gradpath.files import check_writable, relative

LOCK = ".lock"


@contextmanager
def hold(folder: Path, key: str = "") -> Iterator[None]:
    """Makes the folder if it is not there, and holds it until the end of the block.

    Args:
        key: the key that named the folder, for the error message.

    Raises:
        ConfigError: another process holds it. The message names that process.
        OSError: the folder cannot be made or written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        # The lock tries again and again where no file can be made.
        check_writable(folder)
        typed = f"{key}={relative(folder)}" if key else relative(folder)
        raise ConfigError(f"{typed}: {_holder(folder)} is at work in it; wait for its end.") from None
    except OSError as error:
        if key != "resume":
            raise
        raise ConfigError(f"resume={relative(folder)}: {LOCK} in it cannot be locked ({error.strerror or error}).") from None
    try:
        (folder / LOCK).write_text(f"process {os.getpid()} on {socket.gethostname()}")
        yield
    finally:
        # In this order, nobody can lock a file that is about to go.
        (folder / LOCK).unlink(missing_ok=True)
        lock.release()


def is_held(folder: Path) -> bool:
    """Whether some process holds the folder. Writes nothing."""
    if not (folder / LOCK).is_file():
        return False
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except (Timeout, OSError):
        return True
    lock.release()
    return False


def _holder(folder: Path) -> str:
    with suppress(OSError):
        return (folder / LOCK).read_text() or "another process"
    return "another process"
