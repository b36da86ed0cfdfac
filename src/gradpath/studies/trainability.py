"""How deep a network still trains: MNIST over depth and sigma_w^2, compared with theory (Schoenholz et al. 2016, fig. 5)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import nan, sqrt

import numpy as np

from gradpath.config.targets import activation_named
from gradpath.studies.phase_diagram import edge_of_chaos
from gradpath.studies.trainings import train_all
from gradpath.theory.mean_field import mean_field, trainable_depth
from gradpath.theory.quadrature import Array

ACTIVATION, SIGMA_B2 = "tanh", 0.05
# As in the paper, pixels are shifted to [-.5, .5] and training takes 200 steps of plain SGD.
SETTING = (
    "data.mean=0.5",
    "data.std=1",
    "optimizer=sgd",
    "optimizer.lr=0.001",
    "schedule=constant",
    "data.batch_size=256",
    "trainer.limit_train_batches=200",
    "trainer.max_epochs=1",
    "probe=none",
    "trainer=cpu",
)


@dataclass(frozen=True)
class Grid:
    """The networks of a map: one for every depth and sigma_w^2, with hidden layers of `width` units."""

    width: int
    depths: tuple[int, ...]
    sigma_w2: tuple[float, ...]


# Depths grow by a factor of sqrt(2).
FULL = Grid(200, (5, 7, 10, 14, 20, 28, 40, 56, 80, 112), tuple(1 + 0.25 * i for i in range(13)))
QUICK = Grid(100, (5, 14, 40), (1.0, 1.75, 4.0))


def accuracies(grid: Grid, study: str = "trainability") -> Array:
    """Trains the networks of the grid with one seed each, or reads the results of an earlier training.

    Returns test accuracies in [0, 1], (depths, sigma_w^2), NaN where training diverged.

    Raises:
        ConfigError, RunFailed: as `train_all`.
    """
    # The deepest networks come first, so that no core is left alone with one at the end.
    named = {(depth, s): f"{grid.width}x{depth}_{s:g}" for depth in sorted(grid.depths, reverse=True) for s in grid.sigma_w2}
    results = train_all(study, {name: overrides(grid.width, *cell) for cell, name in named.items()})
    found = [[results[named[depth, s]]["metrics"].get("test/accuracy", nan) for s in grid.sigma_w2] for depth in grid.depths]
    return np.array(found, dtype=np.float64)


def overrides(width: int, depth: int, sigma_w2: float) -> tuple[str, ...]:
    """The overrides of one network."""
    shape = ("model=deep", f"model.width={width}", f"model.depth={depth}", f"activation={ACTIVATION}")
    return (*shape, "init=he_normal", f"init.gain={sqrt(sigma_w2)}", f"init.sigma_b2={SIGMA_B2}", *SETTING)


def depth_limits(sigma_w2: Sequence[float]) -> Array:
    """6 xi_c in layers at each sigma_w^2, (N,): the depth up to which theory expects training to work; inf on the edge."""
    phi = activation_named(ACTIVATION)
    return np.array([trainable_depth(mean_field(phi, s, SIGMA_B2)) for s in sigma_w2])


def critical() -> float:
    """sigma_w^2 at the edge of chaos."""
    return edge_of_chaos(activation_named(ACTIVATION), SIGMA_B2, 1.0, 4.0)


def table(grid: Grid, accuracy: Array) -> Iterator[str]:
    """Yields the numbers behind the picture, as lines of CSV."""
    yield "sigma_w2,depth,test_accuracy,six_xi_c"
    limits = depth_limits(grid.sigma_w2)
    for row, depth in enumerate(grid.depths):
        for column, s in enumerate(grid.sigma_w2):
            yield f"{s:g},{depth},{accuracy[row, column]:.4f},{limits[column]:.2f}"
