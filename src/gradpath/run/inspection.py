"""What a network is before it trains: measured, predicted and read."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gradpath.data.batch import Batch
from gradpath.data.memory import MemoryDataModule
from gradpath.flow.profile import LayerFlow, measure
from gradpath.flow.record import Matrix
from gradpath.flow.spectrum import jacobian_singular_values
from gradpath.model.network import MLP, count_parameters
from gradpath.model.objective import Objective
from gradpath.model.predicted import predict_network
from gradpath.run.build import divides_by_size, redrawn
from gradpath.theory.outlook import Outlook, outlook
from gradpath.theory.prediction import Prediction, lines
from gradpath.theory.quadrature import in_float64
from gradpath.verdict.anatomy import anatomy
from gradpath.verdict.deviation import deviation
from gradpath.verdict.verdict import Verdict, verdict

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
    verdict: Verdict
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
            "verdict": self.verdict.as_dict(),
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
    said = verdict(profile, anatomy(network), deviation(draws, theory) if theory else None)
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
