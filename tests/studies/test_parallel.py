"""Calls in other processes: what they give, and how they end. tests/cli/test_pictures.py kills them half-way."""

import os
import time
from multiprocessing import active_children

import pytest

from gradpath.errors import RunFailed
from gradpath.studies.parallel import in_parallel


def test_results_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert in_parallel(divmod, {"a": (7, 2), "b": (9, 4)}, known=3) == {"a": (3, 1), "b": (2, 1)}
    # In a pipe nothing is counted. In a terminal: tests/cli/test_columns.py.
    assert capsys.readouterr().err == ""


def test_an_exception_ends_the_others() -> None:
    start = time.monotonic()
    with pytest.raises(OSError, match="ledger"):
        in_parallel(slow_or_wrong, {"a": (300,), "b": (None,)})
    assert time.monotonic() - start < 250
    assert not active_children()


def test_a_process_ended_from_outside() -> None:
    with pytest.raises(RunFailed, match="memory"):
        in_parallel(os._exit, {"a": (1,)})


def slow_or_wrong(seconds: float | None) -> None:
    if seconds is None:
        raise OSError("ledger")
    time.sleep(seconds)
