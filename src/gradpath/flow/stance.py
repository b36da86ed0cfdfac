"""Eager execution of compiled code while somebody measures: compiled code does not call hooks set after it was compiled."""

import threading
from typing import Any

import torch

from gradpath.flow.private_torch import stance_now

_lock = threading.Lock()
_holders: set[int] = set()
# What torch returned, which knows the stance that was found.
_held: list[Any] = []


def force_eager(holder: object) -> None:
    """Lets compiled code run eagerly until `release`; does nothing if `holder` has done so."""
    with _lock:
        if not _holders:
            _held.append(torch.compiler.set_stance("force_eager"))
        _holders.add(id(holder))


def release(holder: object) -> None:
    """Ends what `force_eager` began. When nobody is left, the stance is the one that was found, or the user's since then."""
    with _lock:
        _holders.discard(id(holder))
        if _holders or not _held:
            return
        held, now = _held.pop(), stance_now()
        if now is None or now is held.stance:
            held.__exit__(None, None, None)
