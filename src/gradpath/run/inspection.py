"""Inspects a network before it trains: measures it, predicts it and gives a verdict."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
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

# A network is measured on this many training samples.
SAMPLE = 256
# For the spread, OTHERS more networks are drawn with other seeds, if the network has at most SMALL parameters.
OTHERS, SMALL = 4, 6_000_000


@dataclass(frozen=True)
class Inspection:
    """The results of an inspection, and the batch that they were measured on.

    draws: |delta| relative to the last hidden layer, (draws, hidden layers). The first row is this network; the others
        were drawn in the same way with other seeds.
    jacobian: singular values of the input-output Jacobian at four samples, (4, min(out, in)); None if not asked for.
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
        """Lines for the record: theory's, and the band over the draws.

        The band is scaled to meet this network's |delta| at the last hidden layer.
        """
        named = {f"theory_{name}": values for name, values in lines(self.theory, self.profile).items()}
        if len(self.draws) > 1 and self.draws.shape[1]:
            anchored = np.stack([self.draws.min(0), self.draws.max(0)]) * self.profile[-2].delta
            named["seeds_delta_band"] = np.concatenate([anchored, np.full((2, 1), np.nan)], axis=1)
        return named

    def as_dict(self) -> dict[str, Any]:
        """The inspection's part of `result.json`."""
        return {
            "verdict": self.verdict.as_dict(),
            "outlook": self.outlook and self.outlook.as_dict(),
            "profile": [asdict(row) for row in self.profile],
            "seeds": {"draws": len(self.draws), "low": self.draws.min(0).tolist(), "high": self.draws.max(0).tolist()},
            "theory": self.theory and [asdict(row) for row in self.theory.layers],
            "jacobian": None if self.jacobian is None else self.jacobian.tolist(),
        }


# What overflows is inf or NaN in the tables, without a warning of numpy's.
@np.errstate(all="ignore")
def inspect(
    network: MLP,
    objective: Objective,
    data: MemoryDataModule,
    others: Iterable[MLP] = (),
    adaptive: bool = False,
    critical_sigma_b2: float = 0.0,
    jacobian: bool = False,
) -> Inspection:
    """Measures `network` as it is, predicts it and gives a verdict. Changes nothing.

    Args:
        others: networks drawn in the same way with other seeds. They show how far a measurement varies with the seed.
        adaptive: whether the run's optimiser divides gradients by their size, as Adam does.
        critical_sigma_b2: sigma_b^2 of the biases that `init=critical` would draw instead.
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
    """The outlook, or None with a normalisation, or infinite weights: theory knows no depth limit for such networks."""
    scales_known = all(isfinite(row.sigma_w2) and isfinite(row.sigma_b2) for row in profile[:-1])
    if network.normalized or network.activation is None or not scales_known:
        return None
    input_norm = batch.inputs.double().square().mean().item()
    return outlook(in_float64(network.activation), profile[:-1], input_norm, adaptive, critical_sigma_b2)


def how_to_inspect(config: Mapping[str, Any], network: MLP, data: MemoryDataModule) -> dict[str, Any]:
    """The optional arguments of `inspect` that follow from a configuration.

    A large network gets no other seeds, because the user would have to wait for them.
    """
    others = OTHERS if count_parameters(network) <= SMALL and config["model"]["hidden"] else 0
    return {
        "others": redrawn(config, data, others),
        "adaptive": divides_by_size(config["optimizer"]),
        "critical_sigma_b2": config["init"].get("sigma_b2", 0.0),
        "jacobian": config["probe"].get("jacobian", False),
    }


def _relative(draws: Sequence[Sequence[float]]) -> Matrix:
    """Divides each draw by its value at the last hidden layer. The result is NaN if no gradient arrives there."""
    deltas = np.array(draws, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative_: Matrix = deltas / deltas[:, -1:]
    return relative_
