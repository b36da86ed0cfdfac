"""Many equal networks trained as one."""

from gradpath.sweep.stack.stacked import StackError
from gradpath.sweep.stack.trained import Trained, train

__all__ = ["StackError", "Trained", "train"]
