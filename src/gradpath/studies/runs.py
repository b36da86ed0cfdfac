"""Runs as function calls: many of them, each in a folder of its own, none made twice."""

import contextlib
import io
import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from gradpath.cli import compose
from gradpath.config import PROJECT
from gradpath.experiment import run
from gradpath.report.result import FILE as RESULT
from gradpath.report.result import write_result

# Every study has a folder here.
STUDIES = PROJECT / "logs/studies"


def trained(folder: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """`result.json` of the run that `overrides` describe, read where it has been made before.

    Silent, and without checkpoints: a study keeps numbers.

    Raises:
        ConfigError, RunFailed: as a run.
    """
    known = _made(folder, overrides)
    if known:
        return known
    shutil.rmtree(folder, ignore_errors=True)
    config, choices = compose(*overrides)
    with contextlib.redirect_stdout(io.StringIO()):
        result = run(config, choices, folder, list(overrides))
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    write_result(folder, result | {"overrides": list(overrides)})
    return _made(folder, overrides) or {}


def train_all(study: str, cells: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Any]]:
    """`trained` for every named cell, as many at a time as there are cores; a study that was stopped goes on where it was.

    Args:
        study: its folder's name. cells: name of a folder -> overrides.
    """
    jobs = {name: (STUDIES / study / name, tuple(overrides)) for name, overrides in cells.items()}
    results = {name: known for name, job in jobs.items() if (known := _made(*job))}
    missing = [name for name in jobs if name not in results]
    if not missing:
        return {name: results[name] for name in cells}
    # One thread each: small networks gain nothing from a second.
    with ProcessPoolExecutor(
        os.cpu_count(), mp_context=get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        futures = {pool.submit(trained, *jobs[name]): name for name in missing}
        try:
            for count, future in enumerate(as_completed(futures), 1):
                results[futures[future]] = future.result()
                print(f"\r{count} of {len(futures)}", end="", file=sys.stderr, flush=True)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    print(file=sys.stderr)
    return {name: results[name] for name in cells}


def _made(folder: Path, overrides: Sequence[str]) -> dict[str, Any] | None:
    """The result of this very run, if it is there and did not fail."""
    if not (folder / RESULT).is_file():
        return None
    result: dict[str, Any] = json.loads((folder / RESULT).read_text())
    return result if result["status"] != "failed" and result.get("overrides") == list(overrides) else None
