"""Runs a study by name."""

from importlib import import_module
from typing import Any

import torch

from gradpath.studies.chapter.entries import STUDIES
from gradpath.studies.chapter.study import Study


def study(name: str, **options: Any) -> Study:
    """Imports the module of the study `name`, and calls its function of that name with `options`."""
    # A second thread gains nothing on small networks, and the training runs have their own processes.
    torch.set_num_threads(1)
    file = import_module(f"gradpath.studies.chapter.{STUDIES[name].file or name}")
    found: Study = getattr(file, name)(**options)
    return found
