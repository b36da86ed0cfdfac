"""Looks at a network without training it. This is all that `scripts/probe.py` does."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from gradpath.files import CONFIG, write_text
from gradpath.flow.record import Record
from gradpath.locks import hold
from gradpath.model.network import count_parameters
from gradpath.run import terminal
from gradpath.run.build import build_run
from gradpath.run.folder import check_free
from gradpath.run.inspection import Inspection, how_to_inspect, inspect
from gradpath.run.result import new_result, write_result
from gradpath.run.seeding import seed_everything
from gradpath.run.summary import show_look, show_look_line, show_verdict, show_warnings
from gradpath.run.trial import FORWARD, blamed


def look(
    config: Mapping[str, Any],
    choices: Mapping[str, str],
    folder: Path,
    overrides: list[str],
    place: int | None = None,
    swept: Sequence[str] = (),
) -> dict[str, Any]:
    """Does step 0 of a run and no more. Returns the content of `result.json`.

    Writes `result.json`, `config.yaml` and a record of one row.

    Args:
        config, choices, folder, overrides: as for a run.
        place: the place among many looks, from 0: one line is printed, below a heading before the first. None: everything
            is printed.
        swept: the longest `key=value` of each key that varies among many looks.

    Raises:
        ConfigError: an input is wrong, or the folder holds a run already. Nothing has been written.
    """
    check_free(folder)
    begun = time.perf_counter()
    terminal.quiet()
    seed_everything(config["seed"])
    data, network, objective, _ = build_run(config, choices)
    with blamed(config, choices, *FORWARD, "loss"):
        found = inspect(network, objective, data, **how_to_inspect(config, network, data))
    durations = {"look": time.perf_counter() - begun}
    result = new_result(choices, config["seed"], count_parameters(network), found.as_dict(), durations, "cpu")
    with hold(folder, "hydra.run.dir"):
        check_free(folder)
        write_text(folder / CONFIG, OmegaConf.to_yaml(OmegaConf.create(dict(config))))
        _record(found).save(folder)
        write_result(folder, result)
    if place is not None:
        show_look_line(place, found.verdict, found.theory, found.outlook, overrides, swept)
        return result
    show_look(config["seed"], choices, count_parameters(network), folder)
    show_warnings(config, choices, data, found.outlook)
    show_verdict("start", found.verdict, found.profile, found.theory, found.draws)
    return result


def _record(found: Inspection) -> Record:
    """A record of one row, for the Gradient Flow tab."""
    names = ["delta", "weight_grad_norm", "bias_grad_norm", "weight_norm"]
    names += ["activation_mean", "activation_variance", "saturated", "dead", "correlation"]
    record = Record([row.layer for row in found.profile], names)
    record.add(0, np.array([[getattr(row, name) for row in found.profile] for name in names], dtype=np.float64))
    record.lines, record.verdict = found.lines, found.verdict.as_dict()
    return record
