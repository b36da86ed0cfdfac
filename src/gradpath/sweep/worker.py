"""A job of a sweep, in a process of its own. It writes all that it prints to its `job.log`, and leaves a `result.json`."""

import faulthandler
import os
import signal
import sys
import traceback
from contextlib import suppress
from errno import EIO
from pathlib import Path

import torch

from gradpath.errors import ConfigError, RunFailed, Stopped, in_one_line
from gradpath.files import LOG, OVERRIDES, RESULT, write_json
from gradpath.locks import CLAIM, hold
from gradpath.run.train import run
from gradpath.sweep.apart import remove_stops
from gradpath.sweep.code import has_changed, made_by
from gradpath.sweep.engine import CHANGED, DONE, ELSEWHERE, INTERRUPTED, UNWRITABLE, Call
from gradpath.sweep.outcome import forget_failure, read_outcome

# The code as it is imported here: of a file that changes later, jobs that are forked from this process have the older one.
made_by()


def work(call: Call) -> int:
    """Runs a job in this process, which is its own. Returns what the process says before it ends."""
    code = 1
    try:
        with suppress(OSError):
            # A terminal's Ctrl-C reaches the sweep's process alone, which passes it on once.
            os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        # A signal that has come so far is heeded here.
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        code = claimed(call, call.folder / LOG)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BaseException:
        traceback.print_exc()
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
    return code


def claimed(call: Call, log: Path | None = None) -> int:
    """Runs a job unless another process has it. Returns what this one says; the outcome is in the job's folder.

    Args:
        log: the file to which all is printed from here on; None leaves the output as it is.
    """
    try:
        with hold(call.folder, name=CLAIM):
            if log:
                _print_to(log)
            code = job(call)
            if code == DONE:
                remove_stops(call.folder)
            return code
    except ConfigError:
        return ELSEWHERE
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        return unwritable(error)


def _print_to(log: Path) -> None:
    with log.open("ab", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.stdout, sys.stderr = (open(number, "w", buffering=1, closefd=False) for number in (1, 2))  # noqa: SIM115
    # A crash of the interpreter leaves its traceback, too.
    faulthandler.enable()


def job(call: Call) -> int:
    """Runs a job that this process has claimed. Returns what it says. Its outcome is in its folder."""
    known = read_outcome(call.sweep, call.name)
    if known and not known.interrupted:
        # Another process has run it since this one was asked to.
        return DONE
    if has_changed(call.code, call.packages):
        return CHANGED
    if known:
        forget_failure(call.sweep, call.name)
    goes_on = {"resume": str(call.folder)} if (call.folder / OVERRIDES).exists() else {}
    try:
        os.environ.update(call.variables)
        torch.set_num_threads(call.threads)
        run({**call.config, **goes_on}, call.choices, call.folder, call.overrides, call.varied)
    except RunFailed as error:
        traceback.print_exception(error.__cause__)
        print(f"error: {error}", file=sys.stderr)
        # The run has written down why, unless the disk is full.
        if not (call.folder / RESULT).exists():
            return unwritable(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Stopped as stopped:
        return int(stopped.code)
    except SystemExit as ended:
        _fail(call, f"a user's code called sys.exit({ended.code!r})")
    except ConfigError as error:
        _fail(call, str(error))
    except BaseException as error:
        _fail(call, f"{type(error).__name__}: {in_one_line(error)}")
    return DONE


def unwritable(error: BaseException | None) -> int:
    """What the process says of why a folder cannot be written to."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__
    number = error.errno if error else None
    return UNWRITABLE + (number if number is not None and number < 256 - UNWRITABLE else EIO)


def _fail(call: Call, error: str) -> None:
    """Writes down what failed before or beside the run, inside an `except` block."""
    traceback.print_exc()
    content = {"status": "failed", "error": error, "traceback": traceback.format_exc(), "choices": call.choices}
    write_json(call.folder / RESULT, content | {"command": call.command})
