"""For the tests of one's own network: `from gradpath.testing import assert_healthy`. Torch is imported with that name."""

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gradpath.verdict.assertion import assert_healthy as assert_healthy

__all__ = ["assert_healthy"]


def __getattr__(name: str) -> object:
    if name in __all__:
        return getattr(import_module("gradpath.verdict.assertion"), name)
    raise AttributeError(f"module 'gradpath.testing' has no attribute {name!r}")
