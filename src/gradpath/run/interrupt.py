"""Stops a run between two batches, and the processes that train for it."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import lightning.pytorch as pl
from lightning.pytorch.strategies.launchers.multiprocessing import _MultiProcessingLauncher
from lightning.pytorch.utilities.exceptions import SIGTERMException

# Seconds for a process to end by itself after it was told to.
PATIENCE = 10


@contextmanager
def stopping_all(trainer: pl.Trainer) -> Iterator[None]:
    """Passes Ctrl-C and SIGTERM on to the processes that train for this one, and waits for their end.

    A signal that was sent to this process alone would otherwise leave them at work, in a folder that nobody holds.
    """
    # Where a process trains by itself, Lightning handles SIGTERM. Only the main thread can set handlers.
    spawns = isinstance(trainer.strategy.launcher, _MultiProcessingLauncher)
    handles = spawns and threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, _terminate) if handles else None
    try:
        yield
    except (SystemExit, KeyboardInterrupt) as stopped:
        # Other children of this process are not ours: a program may call `run` as a function.
        if spawns:
            _stop_children(signal.SIGTERM if isinstance(stopped, SIGTERMException) else signal.SIGINT)
        raise
    finally:
        if handles:
            signal.signal(signal.SIGTERM, before)


def _terminate(*_: Any) -> NoReturn:
    raise SIGTERMException


def _stop_children(number: signal.Signals) -> None:
    children = multiprocessing.active_children()
    for child in children:
        assert child.pid is not None
        os.kill(child.pid, number)
    for child in children:
        child.join(PATIENCE)
        if child.is_alive():
            child.kill()
            child.join()


class StopBetweenBatches(pl.Callback):
    """Makes Ctrl-C wait for the end of the current batch. A second Ctrl-C does not wait.

    A process that trains for another one also stops when that one has been killed.

    Python raises KeyboardInterrupt wherever it happens to be, even just after a lock was taken. The lock of TensorBoard's
    queue would then never be released, and closing the event file would wait for it forever.
    """

    def __init__(self) -> None:
        self.asked = False
        self.parent: int | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self.parent = os.getppid() if multiprocessing.parent_process() else None
        # A program that ignores Ctrl-C, or has its own handler, keeps that. Only the main thread can set handlers.
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._ask)

    def on_train_batch_start(self, *args: Any) -> None:
        self._stop_if_asked()

    def on_validation_batch_start(self, *args: Any) -> None:
        self._stop_if_asked()

    def on_test_batch_start(self, *args: Any) -> None:
        self._stop_if_asked()

    def teardown(self, *args: Any, **kwargs: Any) -> None:
        self._give_back()
        self._stop_if_asked()

    def on_exception(self, *args: Any) -> None:
        self._give_back()

    def _ask(self, *args: Any) -> None:
        self.asked = True
        self._give_back()

    def _give_back(self) -> None:
        if signal.getsignal(signal.SIGINT) == self._ask:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _stop_if_asked(self) -> None:
        if self.asked or (self.parent and os.getppid() != self.parent):
            raise KeyboardInterrupt
