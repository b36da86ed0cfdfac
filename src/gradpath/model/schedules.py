"""Learning-rate schedules, one short function each: `schedule(optimizer, total_steps, **options)`, stepped every step."""

from collections.abc import Callable
from math import cos, pi

from torch import nn, zeros
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler


def constant(optimizer: Optimizer, total_steps: int) -> LambdaLR:
    """The optimiser's learning rate, unchanged throughout."""
    return LambdaLR(optimizer, lambda step: 1.0)


def cosine(optimizer: Optimizer, total_steps: int, floor: float = 0.0) -> LambdaLR:
    """lr * (floor + (1 - floor) (1 + cos(pi step / total)) / 2) (Loshchilov & Hutter 2016, eq. 5)."""
    return LambdaLR(optimizer, _half_cosine(total_steps, floor))


def one_cycle(optimizer: Optimizer, total_steps: int, warmup: float = 0.3) -> LambdaLR:
    """Up along half a cosine from lr / 25 to lr, then down to lr / 250,000 (Smith & Topin 2018).

    torch's OneCycleLR would also change the momentum and take its peak from an argument. Here `optimizer.lr` is the peak.
    """
    rise = max(1, round(warmup * total_steps))

    def factor(step: int) -> float:
        if step < rise:
            return 1 / 25 + (1 - 1 / 25) * (1 - cos(pi * step / rise)) / 2
        return _half_cosine(total_steps - rise, 4e-6)(step - rise)

    return LambdaLR(optimizer, factor)


def step(optimizer: Optimizer, total_steps: int, gamma: float = 0.1, drops: int = 2) -> LambdaLR:
    """lr * gamma^k after the first k of `drops` equally spaced drops."""
    return LambdaLR(optimizer, lambda now: gamma ** min(drops, now * (drops + 1) // max(1, total_steps)))


def warmup_cosine(optimizer: Optimizer, total_steps: int, warmup: float = 0.1, floor: float = 0.0) -> LambdaLR:
    """A linear rise to lr over `warmup` of all steps (Goyal et al. 2017), then half a cosine."""
    rise = max(1, round(warmup * total_steps))
    fall = _half_cosine(total_steps - rise, floor)
    return LambdaLR(optimizer, lambda now: (now + 1) / (rise + 1) if now < rise else fall(now - rise))


def factor_at(make: Callable[[Optimizer, int], LRScheduler], total_steps: int, step: int) -> float | None:
    """What a schedule multiplies the optimiser's learning rate by at a step; None for one of torch's other classes."""
    schedule = make(SGD([nn.Parameter(zeros(1))], lr=1.0), total_steps)
    return float(schedule.lr_lambdas[0](step)) if isinstance(schedule, LambdaLR) else None


def _half_cosine(total_steps: int, floor: float) -> Callable[[int], float]:
    # Past the end the rate stays at its floor. (A run resumed with more epochs has a later end, so it gets a new curve.)
    return lambda now: floor + (1 - floor) * (1 + cos(pi * min(now / max(1, total_steps), 1.0))) / 2
