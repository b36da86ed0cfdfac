"""From a study's name to its function."""

from importlib import import_module
from typing import Any

import torch

from gradpath.studies.chapter.study import Study


def study(name: str, **options: Any) -> Study:
    """Runs the function of this name in the file of this name."""
    # Small networks gain nothing from a second thread, and runs have processes of their own.
    torch.set_num_threads(1)
    found: Study = getattr(import_module(f"gradpath.studies.chapter.{name}"), name)(**options)
    return found
