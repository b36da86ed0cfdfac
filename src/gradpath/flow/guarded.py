"""No error of the measuring comes out of what the user called: whatever of ours torch calls, it calls through a guard."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from gradpath.flow.backward import say

# What ends because of an error.
GiveUp = Callable[[Exception], None]


class CallersError(Exception):
    """An error of what the caller asked to be called, which is theirs to see."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class Guard:
    """Makes of our functions such as torch may call. The first error ends the measuring with one warning.

    What was measured is kept. broken: why nothing is measured any more, or None.

    Args:
        switch_off: ends the measuring.
    """

    def __init__(self, switch_off: Callable[[], None]) -> None:
        self.switch_off = switch_off
        self.broken: str | None = None

    def __call__(
        self, function: Callable[..., Any], give_up: GiveUp | None = None, always: bool = False
    ) -> Callable[..., Any]:
        """The function, which returns None where it fails, and does nothing once the measuring has ended.

        Args:
            give_up: called with the error instead; it ends less than everything. always: to be called after the end, too.
        """

        def call(*args: Any, **kwargs: Any) -> Any:
            if self.broken is not None and not always:
                return None
            try:
                return function(*args, **kwargs)
            except Exception as error:
                self._fail(error, give_up)
                return None

        return call

    def end(self, error: Exception, layer: str = "") -> None:
        """Ends the measuring because of an error, which came up at a layer."""
        if self.broken is None:
            where = f" at {layer}" if layer else ""
            self.broken = f"measuring has been switched off{where}: {type(error).__name__}: {error}"
            with suppress(Exception):
                self.switch_off()
            say(f"gradpath: {self.broken}")

    def _fail(self, error: Exception, give_up: GiveUp | None) -> None:
        if isinstance(error, CallersError):
            # Without a warning: they see it.
            self.broken = self.broken or f"measuring has been switched off: {type(error.error).__name__}: {error.error}"
            with suppress(Exception):
                self.switch_off()
            raise error.error from None
        try:
            (give_up or self.end)(error)
        except Exception:
            self.end(error)
