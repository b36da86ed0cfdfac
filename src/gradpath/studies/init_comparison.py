"""Every initialisation with every activation at three depths: the gradient at step 0, and accuracy after one epoch."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import fmean, geometric_mean, stdev
from typing import Any

from gradpath.studies.outlook_check import TRAINED
from gradpath.studies.trainings import ONE_EPOCH, train_all
from gradpath.verdict.gradient_class import EXPLODING, VANISHING

WIDTH, DEPTHS, SEEDS = 100, (10, 20, 50), (0, 1)
INITS = (
    "critical",
    "he_normal",
    "he_uniform",
    "xavier_normal",
    "xavier_uniform",
    "lecun_normal",
    "lecun_uniform",
    "orthogonal",
    "lsuv",
    "pytorch",
    "normal",
    "constant",
    "zeros",
)
ACTIVATIONS = (
    "identity",
    "relu",
    "leaky_relu",
    "tanh",
    "erf",
    "hardtanh",
    "sigmoid",
    "gelu",
    "silu",
    "mish",
    "elu",
    "selu",
    "softplus",
)
SETTING = ("optimizer=sgd", "optimizer.lr=0.01", *ONE_EPOCH)


@dataclass(frozen=True)
class Scheme:
    """An initialisation with an activation at a depth, and how it fares.

    ratio: |delta| in the first hidden layer divided by |delta| in the last, at step 0; geometric mean over SEEDS. None if a
        seed has no finite ratio above 0.
    accuracy, spread: test accuracy in [0, 1], mean and standard deviation over SEEDS. A run that diverged counts as 0.
    """

    activation: str
    init: str
    depth: int
    ratio: float | None
    accuracy: float
    spread: float


def schemes(study: str = "init_comparison") -> list[Scheme]:
    """Trains every scheme, or reads the result of an earlier training.

    Raises:
        ConfigError, RunFailed: as `train_all`.
    """
    # The deepest networks come first, so that no core is left alone with one at the end.
    kinds = list(product(sorted(DEPTHS, reverse=True), ACTIVATIONS, INITS))
    named = {(kind, seed): "-".join(map(str, (*kind, seed))) for kind, seed in product(kinds, SEEDS)}
    results = train_all(study, {name: overrides(*kind, seed) for (kind, seed), name in named.items()})
    return [_scheme(*kind, [results[named[kind, seed]] for seed in SEEDS]) for kind in kinds]


def overrides(depth: int, activation: str, init: str, seed: int) -> tuple[str, ...]:
    """The overrides of one run."""
    shape = ("model=deep", f"model.width={WIDTH}", f"model.depth={depth}", f"activation={activation}", f"init={init}")
    return (*shape, f"seed={seed}", *SETTING)


def tables(found: Sequence[Scheme]) -> Iterator[str]:
    """Yields Markdown tables: one with a line per initialisation, then two per depth, of the ratio and of the accuracy."""
    yield "| init | gradient healthy | ratio within .5 to 2 | mean accuracy | lowest | trained |\n" + "|---" * 6 + "|"
    for init in INITS:
        own = [scheme for scheme in found if scheme.init == init]
        healthy = sum(bool(s.ratio and VANISHING <= s.ratio <= EXPLODING) for s in own)
        close = sum(bool(s.ratio and 0.5 <= s.ratio <= 2) for s in own)
        accuracies = [scheme.accuracy for scheme in own]
        learnt = sum(accuracy > TRAINED for accuracy in accuracies)
        counts = " | ".join(f"{count} of {len(own)}" for count in (healthy, close))
        yield f"| {init} | {counts} | {fmean(accuracies):.3f} | {min(accuracies):.2f} | {learnt} of {len(own)} |"
    for depth in sorted({scheme.depth for scheme in found}):
        at = {(scheme.init, scheme.activation): scheme for scheme in found if scheme.depth == depth}
        yield f"\n### Depth {depth}: \\|delta\\| first / last hidden layer at step 0\n"
        yield from _grid({key: "none" if s.ratio is None else f"{s.ratio:.2g}" for key, s in at.items()})
        yield f"\n### Depth {depth}: test accuracy after one epoch\n"
        yield from _grid({key: f"{s.accuracy:.2f} ± {s.spread:.2f}" for key, s in at.items()})


def _grid(cells: Mapping[tuple[str, str], str]) -> Iterator[str]:
    yield "| | " + " | ".join(ACTIVATIONS) + " |\n|---" + "|---" * len(ACTIVATIONS) + "|"
    for init in INITS:
        yield f"| {init} | " + " | ".join(cells[init, activation] for activation in ACTIVATIONS) + " |"


def _scheme(depth: int, activation: str, init: str, results: Sequence[dict[str, Any]]) -> Scheme:
    ratios = [ratio for result in results if (ratio := result["verdict"]["ratio"]) and isinstance(ratio, float)]
    accuracies = [result["metrics"].get("test/accuracy", 0.0) for result in results]
    ratio = geometric_mean(ratios) if len(ratios) == len(results) else None
    return Scheme(activation, init, depth, ratio, fmean(accuracies), stdev(accuracies))
