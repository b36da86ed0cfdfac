"""Is the warning before training right? Compares what theory says with real training on MNIST, network by network."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import inf
from typing import Any

from gradpath.studies.trainings import ONE_EPOCH, train_all
from gradpath.theory.outlook import TRAINS, UNCERTAIN, WILL_NOT_TRAIN, said

ACTIVATIONS = ("tanh", "relu", "gelu", "selu", "sigmoid")
INITS = ("pytorch", "lecun_normal", "he_normal", "critical")
# With Adam, both learning rates are too large for most networks of 50 layers, whatever the weights.
DEPTHS = {"sgd": (5, 10, 20, 50, 100), "adam": (5, 10, 20)}
WIDTH = 300
# The learning rate is not what is studied, so a network counts as trainable if any of these trains it.
RATES = {"sgd": (0.001, 0.01), "adam": (0.0001, 0.001)}
# A network has trained if its test accuracy after one epoch of 214 steps is above this, twice chance.
TRAINED = 0.2


@dataclass(frozen=True)
class Cell:
    """One network: what theory says, and how well it trained.

    limit: the depth up to which it should train according to theory; inf if there is none.
    accuracy: the best test accuracy over the learning rates, in [0, 1].
    """

    optimizer: str
    activation: str
    init: str
    depth: int
    limit: float
    accuracy: float

    @property
    def says(self) -> str:
        return said(self.depth, self.limit)

    @property
    def trained(self) -> bool:
        return self.accuracy > TRAINED

    @property
    def wrong(self) -> bool:
        """Whether theory was. It cannot be where it is uncertain."""
        return self.says != UNCERTAIN and self.trained != (self.says == TRAINS)


def cells(optimizer: str, study: str = "outlook") -> list[Cell]:
    """Trains every activation, initialisation and depth with each of the optimiser's learning rates.

    Raises:
        ConfigError, RunFailed: as `train_all`.
    """
    # The deepest networks come first, so that no core is left alone with one at the end.
    kinds = list(product(sorted(DEPTHS[optimizer], reverse=True), ACTIVATIONS, INITS))
    named = {(kind, lr): "-".join(map(str, (optimizer, *kind, lr))) for kind, lr in product(kinds, RATES[optimizer])}
    results = train_all(study, {name: overrides(optimizer, *kind, lr) for (kind, lr), name in named.items()})
    found = [_cell(optimizer, *kind, [results[named[kind, lr]] for lr in RATES[optimizer]]) for kind in kinds]
    return sorted(found, key=lambda cell: (ACTIVATIONS.index(cell.activation), INITS.index(cell.init), cell.depth))


def overrides(optimizer: str, depth: int, activation: str, init: str, lr: float) -> tuple[str, ...]:
    """The overrides of one run."""
    shape = ("model=deep", f"model.width={WIDTH}", f"model.depth={depth}", f"activation={activation}", f"init={init}")
    return (*shape, f"optimizer={optimizer}", f"optimizer.lr={lr}", *ONE_EPOCH)


def table(found: Sequence[Cell]) -> Iterator[str]:
    """Yields a Markdown table with a line per network, then a line per optimiser that counts theory's answers."""
    yield "| optimizer | activation | init | depth | past | theory | accuracy | trained | |\n" + "|---" * 9 + "|"
    for cell in found:
        limit = "" if cell.says == TRAINS else f"{cell.limit:.1f}"
        kind = (cell.optimizer, cell.activation, cell.init, str(cell.depth), limit)
        words = (cell.says, f"{cell.accuracy:.2f}", "yes" if cell.trained else "no", "wrong" if cell.wrong else "")
        yield "| " + " | ".join((*kind, *words)) + " |"
    for optimizer in dict.fromkeys(cell.optimizer for cell in found):
        counts = []
        for says in (TRAINS, UNCERTAIN, WILL_NOT_TRAIN):
            own = [cell for cell in found if (cell.optimizer, cell.says) == (optimizer, says)]
            counts.append(f"{says} {len(own)} times, {sum(cell.trained for cell in own)} of them trained")
        yield f"\n{optimizer}: theory says {'; '.join(counts)}"


def _cell(optimizer: str, depth: int, activation: str, init: str, results: Sequence[dict[str, Any]]) -> Cell:
    ahead = results[0]["outlook"]
    accuracy = max(result["metrics"].get("test/accuracy", 0.0) for result in results)
    # `says` follows from the limit. Results of earlier versions have no such key.
    limit = inf if ahead["limit"] is None else float(ahead["limit"])
    return Cell(optimizer, activation, init, depth, limit, accuracy)
