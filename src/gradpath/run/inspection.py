"""A look at a network before it trains: what a run begins with, and all that `scripts/probe.py` does."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from gradpath.config.checks import check, risks
from gradpath.config.run_folders import CONFIG, OVERRIDES, RESULT
from gradpath.data.memory import Batch, MemoryDataModule
from gradpath.errors import ConfigError
from gradpath.files import relative, write_text
from gradpath.flow.profile import LayerFlow, measure
from gradpath.flow.record import Matrix, Record
from gradpath.flow.spectrum import jacobian_singular_values
from gradpath.model.network import MLP, count_parameters
from gradpath.model.objective import Objective
from gradpath.run import terminal
from gradpath.run.build import build_run, divides_by_size, redrawn
from gradpath.run.result import new_result, write_result
from gradpath.run.seeding import seed_everything
from gradpath.run.summary import show_look, show_look_line, show_verdict, show_warnings
from gradpath.theory.outlook import Outlook, outlook
from gradpath.theory.prediction import Prediction, lines, predict_network
from gradpath.theory.quadrature import in_float64
from gradpath.verdict.at_start import anatomy
from gradpath.verdict.deviation import deviation
from gradpath.verdict.reading import verdict

# Training samples on which a network is measured.
SAMPLE = 256
# Networks of other seeds that are drawn for the spread, up to so many parameters.
OTHERS, SMALL = 4, 6_000_000


@dataclass(frozen=True)
class Inspection:
    """The batch looked at, and what it showed.

    draws: |delta| of this network and of others drawn alike, relative to the last hidden layer, (draws, hidden layers).
    jacobian: singular values of the input-output Jacobian at four samples, (4, min(out, in)), where asked for.
    """

    batch: Batch
    profile: list[LayerFlow]
    draws: Matrix
    theory: Prediction | None
    outlook: Outlook | None
    verdict: dict[str, Any]
    jacobian: Matrix | None

    @property
    def lines(self) -> dict[str, Matrix]:
        """Lines for the record: theory's, and the band over the draws, which meets this network at the last hidden layer."""
        named = {f"theory_{name}": values for name, values in lines(self.theory, self.profile).items()}
        if len(self.draws) > 1 and self.draws.shape[1]:
            anchored = np.stack([self.draws.min(0), self.draws.max(0)]) * self.profile[-2].delta
            named["seeds_delta_band"] = np.concatenate([anchored, np.full((2, 1), np.nan)], axis=1)
        return named

    def as_dict(self) -> dict[str, Any]:
        """Its part of `result.json`."""
        return {
            "verdict": self.verdict,
            "outlook": self.outlook and self.outlook.as_dict(),
            "profile": [asdict(row) for row in self.profile],
            "seeds": {"draws": len(self.draws), "low": self.draws.min(0).tolist(), "high": self.draws.max(0).tolist()},
            "theory": self.theory and [asdict(row) for row in self.theory.layers],
            "jacobian": None if self.jacobian is None else self.jacobian.tolist(),
        }


def inspect(
    network: MLP,
    objective: Objective,
    data: MemoryDataModule,
    others: Iterable[MLP] = (),
    adaptive: bool = False,
    critical_sigma_b2: float = 0.0,
    jacobian: bool = False,
) -> Inspection:
    """Measures `network` as it stands, predicts it and reads it; nothing is changed.

    Args:
        others: networks drawn alike with other seeds, for the spread of what is measured.
        adaptive: the optimiser to come divides gradients by their size, as Adam does.
        critical_sigma_b2: of the biases that `init=critical` would draw in its place.
    """
    batch = data.sample(SAMPLE)
    profile = measure(network, objective, batch)
    theory = predict_network(network, profile, batch.inputs)
    draws = [[row.delta for row in rows[:-1]] for rows in (profile, *(measure(one, objective, batch) for one in others))]
    found = deviation(draws, theory) if theory else None
    said = verdict(profile, anatomy(network)) | {"deviation": found and found.as_dict()}
    spectrum = jacobian_singular_values(network, batch.inputs) if jacobian else None
    ahead = _outlook(network, profile, batch, adaptive, critical_sigma_b2) if theory else None
    return Inspection(batch, profile, _relative(draws), theory, ahead, said, spectrum)


def _outlook(
    network: MLP, profile: Sequence[LayerFlow], batch: Batch, adaptive: bool, critical_sigma_b2: float
) -> Outlook | None:
    """None with a normalisation, for whose networks there is no such depth."""
    if network.normalized or network.activation is None:
        return None
    input_norm = batch.inputs.double().square().mean().item()
    return outlook(in_float64(network.activation), profile[:-1], input_norm, adaptive, critical_sigma_b2)


def how_to_inspect(config: Mapping[str, Any], network: MLP, data: MemoryDataModule) -> dict[str, Any]:
    """The further arguments of `inspect` that a configuration means. No other seeds where the user would have to wait."""
    others = OTHERS if count_parameters(network) <= SMALL and config["model"]["hidden"] else 0
    return {
        "others": redrawn(config, data, others),
        "adaptive": divides_by_size(config["optimizer"], config["allowed_targets"]),
        "critical_sigma_b2": config["init"].get("sigma_b2", 0.0),
        "jacobian": config["probe"].get("jacobian", False),
    }


def _relative(draws: Sequence[Sequence[float]]) -> Matrix:
    """To the last hidden layer; NaN where nothing arrives there."""
    deltas = np.array(draws, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative_: Matrix = deltas / deltas[:, -1:]
    return relative_


def look(
    config: Mapping[str, Any], choices: Mapping[str, str], folder: Path, overrides: list[str], place: int | None = None
) -> dict[str, Any]:
    """Step 0 of a run and no more: its `result.json`, whose content is returned, `config.yaml`, and a record of one row.

    Args:
        config, choices, folder, overrides: as for a run.
        place: among many looks, from 0: say it in one line, below a heading. None: in full.

    Raises:
        ConfigError: a wrong input, or a folder that holds a run already; nothing has been written.
    """
    check(config)
    if config["resume"]:
        raise ConfigError(f"resume={config['resume']}: there is nothing to resume without training.")
    if any((folder / name).exists() for name in (RESULT, OVERRIDES)):
        raise ConfigError(f"hydra.run.dir={relative(folder)}: holds a run already; choose another folder.")
    begun = time.perf_counter()
    terminal.quiet()
    seed_everything(config["seed"])
    data, network, objective, _ = build_run(config, choices)
    found = inspect(network, objective, data, **how_to_inspect(config, network, data))
    durations = {"look": time.perf_counter() - begun}
    result = new_result(choices, config["seed"], count_parameters(network), found.as_dict(), durations, "cpu")
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / CONFIG, OmegaConf.to_yaml(OmegaConf.create(dict(config))))
    _record(found).save(folder)
    write_result(folder, result)
    if place is not None:
        show_look_line(place, found.verdict, found.theory, found.outlook, overrides)
        return result
    show_look(config["seed"], choices, count_parameters(network), folder)
    healthy = found.outlook is None or found.outlook.trains
    show_warnings(risks(config, choices, objective.task, healthy), found.outlook, choices)
    show_verdict("start", found.verdict, found.profile, found.theory, found.draws)
    return result


def _record(found: Inspection) -> Record:
    """One row, for the Gradient Flow tab."""
    names = ["delta", "weight_grad_norm", "bias_grad_norm", "weight_norm"]
    names += ["activation_mean", "activation_variance", "saturated", "dead", "correlation"]
    record = Record([row.layer for row in found.profile], names)
    record.add(0, np.array([[getattr(row, name) for row in found.profile] for name in names], dtype=np.float64))
    record.lines, record.verdict = found.lines, found.verdict
    return record
