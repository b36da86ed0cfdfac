"""Learning rates at the moments that matter."""

from math import cos, pi

import pytest
import torch

from gradpath.model import schedules


def rates(name: str, total: int, **options: float) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0)
    scheduler = getattr(schedules, name)(optimizer, total, **options)
    seen = []
    for _ in range(total):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return seen


def test_constant() -> None:
    assert rates("constant", 10) == [2.0] * 10


def test_cosine() -> None:
    assert rates("cosine", 100) == pytest.approx([1 + cos(pi * t / 100) for t in range(100)])
    assert rates("cosine", 100, floor=0.1)[50] == pytest.approx(2 * 0.55)


def test_step() -> None:
    assert rates("step", 9, gamma=0.1, drops=2) == pytest.approx([2.0] * 3 + [0.2] * 3 + [0.02] * 3)


def test_one_cycle_peaks_at_the_optimisers_rate() -> None:
    seen = rates("one_cycle", 100, warmup=0.3)
    assert seen[0] == pytest.approx(2 / 25)
    assert max(seen) == seen[30] == 2.0
    assert seen[:31] == sorted(seen[:31])
    assert seen[30:] == sorted(seen[30:], reverse=True)
    assert seen[-1] < 0.002


def test_warmup_cosine() -> None:
    seen = rates("warmup_cosine", 100, warmup=0.1, floor=0.0)
    assert seen[:11] == pytest.approx([2 * (t + 1) / 11 for t in range(10)] + [2.0])
    assert seen[55] == pytest.approx(1.0)
    assert seen[10:] == sorted(seen[10:], reverse=True)


def test_past_the_end_the_floor_holds() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0)
    scheduler = schedules.cosine(optimizer, 10, floor=0.1)
    for _ in range(15):
        optimizer.step()
        scheduler.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.2)
