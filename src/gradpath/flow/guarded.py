"""No error of the measuring ends a user's training."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from gradpath.flow.backward import say


class CallersError(Exception):
    """An error of what the caller asked to be called, which is theirs to see."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def guarded(method: Callable[..., None]) -> Callable[..., None]:
    """The method as a hook calls it: its first failure ends the measuring with one warning. What was measured is kept.

    Its object has `broken`, which says why it measures no more, or is None, and `switch_off`.
    """

    @wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> None:
        if self.broken is not None:
            return
        try:
            method(self, *args, **kwargs)
        except Exception as error:
            cause = error.error if isinstance(error, CallersError) else error
            self.broken = f"measuring has been switched off: {type(cause).__name__}: {cause}"
            self.switch_off()
            if cause is not error:
                raise cause from None
            say(f"gradpath: {self.broken}")

    return call
