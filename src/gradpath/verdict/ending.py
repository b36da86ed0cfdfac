"""The end of a measured training: its record is kept and judged, whatever else has gone wrong."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradpath.flow.backward import say
from gradpath.flow.record import set_verdict

if TYPE_CHECKING:
    from gradpath.verdict.probing import JudgingProbe


def end(measuring: "JudgingProbe", folder: Path | None, failed: bool = False) -> dict[str, Any] | None:
    """Closes a probe, keeps its record and returns the verdict; None if there is none. An error is one warning.

    It says why no step was measured, if none was.

    Args:
        folder: where the record is kept (None: nowhere). failed: an error has ended the training, which is told by itself.
    """
    errors: list[Exception] = []
    _tried(measuring.close, errors)
    if folder is not None:
        _tried(lambda: measuring.save(folder), errors)
    found: dict[str, Any] | None = _tried(measuring.verdict, errors)
    if folder is not None and found is not None and not errors:
        _tried(lambda: set_verdict(folder, found), errors)
    if errors:
        say(f"gradpath: the training was not kept and judged as a whole: {type(errors[0]).__name__}: {errors[0]}")
    elif not failed and not measuring.broken and (why := measuring.unmeasured()):
        say(f"gradpath: {why}")
    return found


def _tried(call: Callable[[], Any], errors: list[Exception]) -> Any:
    """What is returned; None, and the error is added to `errors`, if it fails."""
    try:
        return call()
    except Exception as error:
        errors.append(error)
        return None
