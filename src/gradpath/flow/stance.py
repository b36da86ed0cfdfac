"""Eager execution of compiled code while somebody measures: compiled code does not call hooks set after it was compiled."""

import threading
from contextlib import ExitStack

import torch

_lock = threading.Lock()
_holders: set[int] = set()
_stance = ExitStack()


def force_eager(holder: object) -> None:
    """Lets compiled code run eagerly until `release`; does nothing if `holder` has done so."""
    with _lock:
        if not _holders:
            _stance.enter_context(torch.compiler.set_stance("force_eager"))
        _holders.add(id(holder))


def release(holder: object) -> None:
    """Ends what `force_eager` began. When nobody is left, the stance is the one that was found."""
    with _lock:
        _holders.discard(id(holder))
        if not _holders:
            _stance.close()
