"""The errors that a user can cause, as one line on stderr and an exit code."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from gradpath.columns import wrapped
from gradpath.errors import ConfigError, RunFailed, first_line
from gradpath.streams import open_streams


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turns the errors that a user can cause into one line on stderr and an exit code."""
    try:
        yield
        # Buffered output is written here, where a failure is still caught.
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (`| head`, say) has read enough. Exit as other commands do.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except (ConfigError, HydraException, OmegaConfBaseException) as error:
        said = first_line(error)
        refers = [text for text in sys.argv[1:] if "${" in text]
        if refers and not isinstance(error, ConfigError):
            # OmegaConf does not always say which value it was.
            said = f"{' '.join(refers)}: {said}"
        fail(said if said.endswith("?") else f"{said}.")
    except OSError as error:
        key = "sweep" if {"-m", "--multirun"} & {*sys.argv} else "run"
        where = f"; choose another place with hydra.{key}.dir=FOLDER" if error.filename else ""
        fail(f"{error.filename or 'output'}: {error.strerror or error}{where}.")
    except RunFailed as error:
        fail(str(error), code=1)


def fail(message: str, code: int = 2) -> NoReturn:
    """Prints one line on stderr, in a terminal broken at words, and exits."""
    open_streams()
    with suppress(OSError):
        # Where nothing can be written, as on a full disk, the code alone tells.
        print(*wrapped(f"error: {message}", further="  ", stream=sys.stderr), sep="\n", file=sys.stderr)
    sys.exit(code)
