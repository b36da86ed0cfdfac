"""What the chapter's studies measure with: labels of curves, plateaus, noise, ways over surfaces."""

from itertools import combinations
from math import inf, log

import numpy as np
import pytest
import torch

from gradpath.config.composition import compose
from gradpath.data.batch import Batch
from gradpath.studies.chapter import xor
from gradpath.studies.chapter.gradient_noise import epochs, expected, gradient, measured, per_sample_squares
from gradpath.studies.chapter.learning_rate import Course, course, labels
from gradpath.studies.chapter.optimizers import MOMENTUM, break_even
from gradpath.studies.chapter.surfaces import SURFACES, arrival, departure, walks
from gradpath.studies.papers.networks import built


def test_labels_come_from_the_curves() -> None:
    steps = np.arange(1, 401)
    made = {
        "falls": 2.0 * steps**-0.5,
        "as well": 2.2 * steps**-0.5,
        "slowly": 2.0 * steps**-0.05,
        "jumps": np.where(steps < 50, 2.0 + 30 * (steps > 3), 0.5) + 0.0,
        "swings": np.exp(0.6 * np.sin(steps / 20)),
        "up": 2.0 + 0.1 * steps,
        "dies": 2.0 * 10.0 ** steps[:20],
    }
    courses = {k: course([curve], 400) for k, curve in enumerate(made.values())}
    assert list(labels(courses).values()) == [
        "best", "good", "too slow", "oscillating", "oscillating", "diverged", "diverged",
    ]  # fmt: skip
    assert courses[6] == Course(20.0, inf, inf, inf, 20)
    # One that has learnt the problem is good, though another is a thousand times lower.
    assert labels({1: Course(1.0, 1.0, 1.0, 1e-6, None), 2: Course(1.0, 1.0, 1.0, 1e-2, None)}) == {1: "best", 2: "good"}
    # NaN before the second step is no zero.
    assert labels({1: Course(1.0, 1.0, 1.0, 0.1, None), 2: Course(1.0, inf, inf, inf, 0)})[2] == "diverged"
    # Of rates that all stand still none is best.
    assert set(labels({1: Course(1.0, 1.0, 1.0, 0.99, None), 2: Course(1.0, 1.0, 1.0, 0.98, None)}).values()) == {"too slow"}


def test_the_plateaus_are_named() -> None:
    assert [xor.rest(loss) for loss in (log(2), 0.4774, 0.3466, 1e-3, 0.2)] == [
        "ln 2", "3/4 H(1/3)", "ln 2 / 2", "solved", "elsewhere",
    ]  # fmt: skip


def test_the_noise_of_all_pairs() -> None:
    """Of five samples all ten batches of two: no chance is left, and the two ways of counting meet."""
    _, network, objective, _ = built(0, "data=xor_noisy", "model.hidden=[3]", "activation=tanh")
    data = built(0, "data=xor_noisy").data.sample(5)
    network, batch = network.double(), Batch(data.inputs.double(), data.targets)
    pairs = [torch.tensor(pair) for pair in combinations(range(5), 2)]
    assert measured(network, objective, batch, pairs) == pytest.approx(expected(network, objective, batch, 2), rel=1e-10)
    single = [gradient(network, objective, Batch(batch.inputs[k : k + 1], batch.targets[k : k + 1])) for k in range(5)]
    squares = per_sample_squares(network, objective, batch).tolist()
    assert squares == pytest.approx([float((g**2).sum()) for g in single], rel=1e-12)


def test_epochs_are_whole() -> None:
    batches = epochs(10, 4, 3)
    assert [len(batch) for batch in batches] == [4] * 4
    for epoch in (batches[:2], batches[2:]):
        assert len(set(torch.cat(epoch).tolist())) == 8


def test_a_way_that_leaves_has_not_arrived() -> None:
    """NaN is not below the goal; nor is a step that only passes by."""
    ravine = SURFACES[0]
    assert arrival(ravine, np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]])) == 1
    assert arrival(ravine, np.array([[1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])) == inf
    assert arrival(ravine, np.array([[1.0, 0.0], [0.0, 0.0], [np.nan, 0.0]])) == inf
    assert departure(np.array([[0.0, 0.0], [0.0, 0.4], [0.0, -0.6]])) == 2
    assert departure(np.array([[0.0, 0.0]])) == inf


@pytest.mark.parametrize("name", ["sgd", "momentum", "rmsprop", "adam"])
def test_many_rates_walk_as_one_does(name: str) -> None:
    """Beside torch's optimiser at one rate."""
    rates = [0.003, 0.01, 0.02]
    for surface in SURFACES:
        together = walks(surface, name, rates, 50)
        for rate, path in zip(rates, together, strict=True):
            weights = torch.nn.Parameter(torch.tensor(surface.start, dtype=torch.float64))
            optimizer = built(0, "data=xor", f"optimizer={name}", f"optimizer.lr={rate}").make_optimizer([weights])
            for _ in range(50):
                optimizer.zero_grad()
                surface.loss(weights).backward()
                optimizer.step()
            assert path[-1].tolist() == pytest.approx(weights.tolist(), rel=1e-9)


def shrinks(condition: float, momentum: float) -> float:
    """The factor of the error per step on a quadratic, at the best of many rates: the largest eigenvalue of a step."""
    curved, rates = np.array([1.0, condition]), np.geomspace(1e-3, 2, 2001)
    steps = np.zeros((len(rates), 2, 2, 2))
    steps[..., 0, 0], steps[..., 0, 1], steps[..., 1, 0] = 1 + momentum - rates[:, None] * curved, -momentum, 1
    return float(np.abs(np.linalg.eigvals(steps)).max(axis=(1, 2)).min())


@pytest.mark.parametrize("momentum", [0.5, 0.9])
def test_momentum_breaks_even_where_the_eigenvalues_do(momentum: float) -> None:
    turn = break_even(momentum)
    assert shrinks(0.9 * turn, momentum) == pytest.approx(momentum**0.5, rel=1e-2)
    assert shrinks(0.9 * turn, 0.0) < shrinks(0.9 * turn, momentum)
    assert shrinks(1.1 * turn, 0.0) > shrinks(1.1 * turn, momentum)
    assert compose("optimizer=momentum")[0]["optimizer"]["momentum"] == MOMENTUM
