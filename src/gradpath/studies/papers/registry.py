"""The twenty claims in order, and their verification."""

import inspect
import time
from collections.abc import Callable, Sequence

import torch

from gradpath.studies.papers import SLOW, exact, exclusive_or, growths, maps, norms, spectra, stability, training
from gradpath.studies.papers.claim import Claim
from gradpath.studies.parallel import in_parallel

CLAIMS: dict[int, Callable[..., Claim]] = {
    1: maps.edge_of_chaos,
    2: growths.chi,
    3: training.trainable_depth,
    4: growths.relu_scales,
    5: growths.sigmoid_vanishes,
    6: spectra.layer_spectra,
    7: exact.balance,
    8: norms.batch_norm_explodes,
    9: norms.scale_invariance,
    10: spectra.jacobian_spectrum,
    11: spectra.fluctuation,
    12: maps.correlation_collapse,
    13: growths.selu,
    14: growths.tanh_gain,
    15: stability.edge_of_stability,
    16: exclusive_or.exclusive_or,
    17: training.symmetry,
    18: training.adam_below_epsilon,
    19: exact.linear_collapse,
    20: exact.by_hand,
}


def verified(number: int, seeds: int | None) -> tuple[Claim, float]:
    """Computes a claim. Returns it, and the seconds that it took.

    Args:
        seeds: the number of seeds; None for the claim's own. Claims that take no number of seeds ignore it.
    """
    compute = CLAIMS[number]
    options = {"seeds": seeds} if seeds and "seeds" in inspect.signature(compute).parameters else {}
    begun = time.perf_counter()
    try:
        claim = compute(**options)
    except Exception as error:
        error.add_note(f"while computing claim {number}")
        raise
    return claim, time.perf_counter() - begun


def verify(numbers: Sequence[int], seeds: int | None) -> list[tuple[Claim, float]]:
    """Computes the claims, as many at a time as there are cores, on one thread each; the slowest start first.

    Returns each claim with the seconds that it took, in the order of `numbers`.
    """
    if len(numbers) == 1:
        torch.set_num_threads(1)
        return [verified(numbers[0], seeds)]
    jobs = {str(n): (n, seeds) for n in sorted(numbers, key=lambda n: n not in SLOW)}
    found = in_parallel(verified, jobs)
    return [found[str(n)] for n in numbers]
