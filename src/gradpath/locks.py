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
# The process that runs a job of a sweep holds this file in the job's folder, beside the run's own lock.
CLAIM = ".claim"


@contextmanager
def hold(folder: Path, key: str = "", name: str = LOCK) -> Iterator[None]:
    """Makes the folder if it is not there, and holds it until the end of the block.

    Args:
        key: the key that named the folder, for the error message.
        name: the lock's file.

    Raises:
        ConfigError: another process holds it. The message names that process.
        OSError: the folder cannot be made or written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / name, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        # The lock tries again and again where no file can be made.
        check_writable(folder)
        typed = f"{key}={relative(folder)}" if key else relative(folder)
        raise ConfigError(f"{typed}: {holder(folder, name)} is at work in it; wait for its end.") from None
    except OSError as error:
        if key != "resume":
            raise OSError(error.errno, error.strerror, str(folder)) from None
        raise ConfigError(f"resume={relative(folder)}: {name} in it cannot be locked ({error.strerror or error}).") from None
    try:
        (folder / name).write_text(f"process {os.getpid()} on {socket.gethostname()}")
        yield
    finally:
        # In this order, nobody can lock a file that is about to go.
        (folder / name).unlink(missing_ok=True)
        lock.release()


def is_held(folder: Path, name: str = LOCK) -> bool:
    """Whether some process holds the folder. Writes nothing."""
    if not (folder / name).is_file():
        return False
    lock = FileLock(folder / name, timeout=0)
    try:
        lock.acquire()
    except (Timeout, OSError):
        return True
    lock.release()
    return False


def holder(folder: Path, name: str = LOCK) -> str:
    """The process that holds a folder, in words."""
    with suppress(OSError):
        return (folder / name).read_text() or "another process"
    return "another process"
