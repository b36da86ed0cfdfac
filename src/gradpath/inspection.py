"""A look at a network before it trains: what a run begins with, and all that `scripts/probe.py` does."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from gradpath.build import build_run
from gradpath.config import check, risks
from gradpath.data.memory import Batch, MemoryDataModule
from gradpath.errors import ConfigError
from gradpath.files import write_text
from gradpath.flow.findings import anatomy
from gradpath.flow.profile import LayerFlow, measure
from gradpath.flow.record import Matrix, Record
from gradpath.flow.spectrum import jacobian_singular_values
from gradpath.flow.verdict import verdict
from gradpath.network import MLP, count_parameters
from gradpath.objective import Objective
from gradpath.report import console
from gradpath.report.result import FILE as RESULT
from gradpath.report.result import new_result, write_result
from gradpath.report.summary import relative, show_look, show_look_line, show_verdict
from gradpath.runs import CONFIG, OVERRIDES
from gradpath.seeding import seed_everything
from gradpath.theory.prediction import LayerPrediction, lines, predict_network

# Training samples on which a network is measured.
SAMPLE = 256


@dataclass(frozen=True)
class Inspection:
    """The batch looked at, and what it showed.

    jacobian: singular values of the input-output Jacobian at four samples, (4, min(out, in)), where asked for.
    """

    batch: Batch
    profile: list[LayerFlow]
    theory: list[LayerPrediction] | None
    verdict: dict[str, Any]
    jacobian: Matrix | None

    @property
    def lines(self) -> dict[str, Matrix]:
        """Theory's lines for the record, (L,) per quantity."""
        return lines(self.theory, self.profile)

    def as_dict(self) -> dict[str, Any]:
        """Its part of `result.json`."""
        return {
            "verdict": self.verdict,
            "profile": [asdict(row) for row in self.profile],
            "theory": self.theory and [asdict(row) for row in self.theory],
            "jacobian": None if self.jacobian is None else self.jacobian.tolist(),
        }


def inspect(network: MLP, objective: Objective, data: MemoryDataModule, jacobian: bool = False) -> Inspection:
    """Measures `network` as it stands, predicts it and reads it; nothing is changed."""
    batch = data.sample(SAMPLE)
    profile = measure(network, objective, batch)
    theory = predict_network(network, profile, batch.inputs)
    spectrum = jacobian_singular_values(network, batch.inputs) if jacobian else None
    return Inspection(batch, profile, theory, verdict(profile, anatomy(network)), spectrum)


def look(
    config: Mapping[str, Any], choices: Mapping[str, str], folder: Path, overrides: list[str], brief: bool = False
) -> dict[str, Any]:
    """Step 0 of a run and no more: its `result.json`, whose content is returned, `config.yaml`, and a record of one row.

    Args:
        config, choices, folder, overrides: as for a run.
        brief: say it in one line.

    Raises:
        ConfigError: a wrong input, or a folder that holds a run already; nothing has been written.
    """
    check(config)
    if config["resume"]:
        raise ConfigError(f"resume={config['resume']}: there is nothing to resume without training.")
    if any((folder / name).exists() for name in (RESULT, OVERRIDES)):
        raise ConfigError(f"hydra.run.dir={relative(folder)}: holds a run already; choose another folder.")
    begun = time.perf_counter()
    console.quiet()
    seed_everything(config["seed"])
    data, network, objective, _ = build_run(config, choices)
    found = inspect(network, objective, data, config["probe"].get("jacobian", False))
    durations = {"look": time.perf_counter() - begun}
    result = new_result(choices, config["seed"], count_parameters(network), found.as_dict(), durations, "cpu")
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / CONFIG, OmegaConf.to_yaml(OmegaConf.create(dict(config))))
    _record(found).save(folder)
    write_result(folder, result)
    if brief:
        show_look_line(found.verdict, overrides)
        return result
    show_look(config["seed"], choices, count_parameters(network), folder)
    for sentence in risks(config, choices):
        console.warn(sentence)
    show_verdict("start", found.verdict, found.profile, found.theory)
    return result


def _record(found: Inspection) -> Record:
    """One row, for the Gradient Flow tab."""
    names = ["delta", "weight_grad_norm", "bias_grad_norm", "weight_norm"]
    names += ["activation_mean", "activation_variance", "saturated", "dead", "correlation"]
    record = Record([row.layer for row in found.profile], names)
    record.add(0, np.array([[getattr(row, name) for row in found.profile] for name in names], dtype=np.float64))
    record.theory, record.verdict = found.lines, found.verdict
    return record
