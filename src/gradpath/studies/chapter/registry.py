"""From a study's name to its function."""

from importlib import import_module
from typing import Any

import torch

from gradpath.studies.chapter.entries import STUDIES
from gradpath.studies.chapter.study import Study


def study(name: str, **options: Any) -> Study:
    """Runs the function of this name in the study's file."""
    # Small networks gain nothing from a second thread, and runs have processes of their own.
    torch.set_num_threads(1)
    file = import_module(f"gradpath.studies.chapter.{STUDIES[name].file or name}")
    found: Study = getattr(file, name)(**options)
    return found
