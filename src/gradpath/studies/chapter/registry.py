"""From a study's name to its function."""

from importlib import import_module
from typing import Any

from gradpath.studies.chapter.study import Study


def study(name: str, **options: Any) -> Study:
    """Runs the function of this name in the file of this name."""
    found: Study = getattr(import_module(f"gradpath.studies.chapter.{name}"), name)(**options)
    return found
