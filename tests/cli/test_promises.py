"""Checks the accuracy that the README promises, on real MNIST and real XOR, over several seeds."""

from math import log
from statistics import mean

import pytest

CPU = ("trainer.accelerator=cpu", "probe=none")


# In `make test`: tests/studies/test_claims_c1_to_c18.py, after three epochs.
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [pytest.param(0, marks=pytest.mark.slow), pytest.param(1, marks=pytest.mark.exhaustive)])
def test_the_challenge_reaches_97_percent_with_every_seed(run_here, seed: int) -> None:
    result, _ = run_here("experiment=chapter_challenge", f"seed={seed}", *CPU)
    assert result["metrics"]["last_epoch"] == 10
    assert result["metrics"]["test/accuracy"] >= 0.97


# In `make test-all`: one seed, in tests/cli/test_in_a_clone.py.
@pytest.mark.exhaustive
@pytest.mark.timeout(900)
def test_the_default_run_reaches_98_3_percent_on_average(run_here) -> None:
    results = [run_here(f"seed={seed}", *CPU, folder=str(seed))[0]["metrics"] for seed in range(2)]
    assert [result["last_epoch"] for result in results] == [10, 10]
    assert mean(result["test/accuracy"] for result in results) >= 0.983


# In `make test`: five seeds, in tests/studies/test_claims_c1_to_c18.py.
@pytest.mark.slow
def test_xor_is_solved_by_19_of_20_seeds(run_here) -> None:
    solved = [
        run_here("experiment=xor", f"seed={seed}", *CPU, folder=str(seed))[0]["metrics"]["test/accuracy"] == 1.0
        for seed in range(20)
    ]
    assert sum(solved) >= 19


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_a_perceptron_cannot_solve_xor(run_here, seed: int) -> None:
    """The best linear model has w = 0, so p = 0.5 and the loss is ln 2."""
    result, _ = run_here("data=xor", "model=perceptron", "optimizer.lr=0.05", f"seed={seed}", *CPU)
    assert result["metrics"]["train/loss"] == pytest.approx(log(2), abs=1e-3)
    assert result["metrics"]["test/accuracy"] <= 0.75


def test_two_layers_solve_xor_by_default(run_here) -> None:
    result, _ = run_here("data=xor", "model=two_layer", *CPU)
    assert result["metrics"]["test/accuracy"] == 1.0
