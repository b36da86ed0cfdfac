"""Ctrl-C between two batches."""

import signal
import threading
from typing import Any

import lightning.pytorch as pl


class StopBetweenBatches(pl.Callback):
    """Makes Ctrl-C wait for the end of the current batch. A second Ctrl-C does not wait.

    Python raises KeyboardInterrupt wherever it happens to be, even just after a lock was taken. The lock of TensorBoard's
    queue would then never be released, and closing the event file would wait for it forever.
    """

    def __init__(self) -> None:
        self.asked = False

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
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
        if self.asked:
            raise KeyboardInterrupt
