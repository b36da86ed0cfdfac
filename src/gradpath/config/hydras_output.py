"""What Hydra itself prints, fitted into the terminal and worded as other mistakes."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

from omegaconf.errors import OmegaConfBaseException

from gradpath.columns import fitted, width
from gradpath.errors import ConfigError, first_line


@contextmanager
def hydras_errors(cfg: str | None) -> Iterator[None]:
    """Words what Hydra says of --cfg as other mistakes: it prints a line of its own, and exits with code 1."""
    if cfg is None:
        yield
        return
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            yield
    except SystemExit as ended:
        if ended.code == 1:
            raise ConfigError(f"--cfg {cfg}: {said.getvalue().strip()}.") from None
        raise
    except OmegaConfBaseException as error:
        raise ConfigError(f"--cfg {cfg}: {first_line(error)}; --cfg all --resolve shows both parts.") from None
    sys.stderr.write(said.getvalue())


@contextmanager
def fitted_help(shows: bool) -> Iterator[None]:
    """Fits what Hydra prints for --help into the terminal."""
    if not shows or width() is None:
        yield
        return
    text = io.StringIO()
    try:
        with redirect_stdout(text):
            yield
    finally:
        print(fitted(text.getvalue()), end="")
