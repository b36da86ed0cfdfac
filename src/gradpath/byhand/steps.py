"""One step of every optimiser, written out as torch defines it: changes w in place, given its gradient g.

What a step remembers for the next one is kept in `s`, empty before the first.
"""

from collections.abc import Callable, Mapping
from functools import partial
from math import sqrt
from typing import Any

import torch
from torch import Tensor, optim
from torch.optim import Optimizer

from gradpath.errors import ConfigError
from gradpath.model.optimizers import Muon

Memory = dict[str, Any]
Step = Callable[[Tensor, Tensor, Memory], None]
# The coefficients of Muon's iteration, as in torch.
QUINTIC, ITERATIONS = (3.4445, -4.7750, 2.0315), 5


def sgd(w: Tensor, g: Tensor, s: Memory, lr: float, momentum: float, nesterov: bool, weight_decay: float) -> None:
    """v <- momentum v + g, w <- w - lr v; with Nesterov w <- w - lr (g + momentum v) (Sutskever et al. 2013)."""
    g = g + weight_decay * w
    v = s["v"] = momentum * s.get("v", 0.0) + g
    w -= lr * (g + momentum * v if nesterov else v)


def rmsprop(
    w: Tensor, g: Tensor, s: Memory, lr: float, alpha: float, eps: float, momentum: float, weight_decay: float
) -> None:
    """q <- alpha q + (1 - alpha) g^2, w <- w - lr g / (sqrt q + eps) (Tieleman & Hinton 2012)."""
    g = g + weight_decay * w
    q = s["q"] = alpha * s.get("q", 0.0) + (1 - alpha) * g**2
    v = s["v"] = momentum * s.get("v", 0.0) + g / (q.sqrt() + eps)
    w -= lr * v


def adagrad(w: Tensor, g: Tensor, s: Memory, lr: float, lr_decay: float, eps: float, weight_decay: float) -> None:
    """q <- q + g^2, w <- w - lr g / (sqrt q + eps) (Duchi et al. 2011)."""
    g = g + weight_decay * w
    t = s["t"] = s.get("t", 0) + 1
    q = s["q"] = s.get("q", 0.0) + g**2
    w -= lr / (1 + (t - 1) * lr_decay) * g / (q.sqrt() + eps)


def adam(w: Tensor, g: Tensor, s: Memory, lr: float, betas: tuple[float, float], eps: float, weight_decay: float) -> None:
    """m <- b1 m + (1 - b1) g, v <- b2 v + (1 - b2) g^2, w <- w - lr m^ / (sqrt v^ + eps) with m^ = m / (1 - b1^t),
    v^ = v / (1 - b2^t) (Kingma & Ba 2015)."""
    m, v, t = _moments(g + weight_decay * w, s, betas)
    w -= lr * m / (1 - betas[0] ** t) / ((v / (1 - betas[1] ** t)).sqrt() + eps)


def adamw(w: Tensor, g: Tensor, s: Memory, lr: float, betas: tuple[float, float], eps: float, weight_decay: float) -> None:
    """Adam with the weight decay applied to w itself (Loshchilov & Hutter 2019)."""
    w *= 1 - lr * weight_decay
    adam(w, g, s, lr, betas, eps, 0.0)


def nadam(
    w: Tensor,
    g: Tensor,
    s: Memory,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    momentum_decay: float,
    weight_decay: float,
) -> None:
    """Adam with Nesterov's momentum (Dozat 2016)."""
    g = g + weight_decay * w
    m, v, t = _moments(g, s, betas)
    now, later = (betas[0] * (1 - 0.5 * 0.96 ** (at * momentum_decay)) for at in (t, t + 1))
    product = s["product"] = s.get("product", 1.0) * now
    mean = (1 - now) * g / (1 - product) + later * m / (1 - product * later)
    w -= lr * mean / ((v / (1 - betas[1] ** t)).sqrt() + eps)


def radam(w: Tensor, g: Tensor, s: Memory, lr: float, betas: tuple[float, float], eps: float, weight_decay: float) -> None:
    """Adam that does not divide until the variance of its second moment is finite (Liu et al. 2020)."""
    m, v, t = _moments(g + weight_decay * w, s, betas)
    mean, decayed = m / (1 - betas[0] ** t), betas[1] ** t
    longest = 2 / (1 - betas[1]) - 1
    length = longest - 2 * t * decayed / (1 - decayed)
    if length <= 5:
        w -= lr * mean
        return
    rectified = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
    w -= lr * mean * sqrt(rectified * (1 - decayed)) / (v.sqrt() + eps)


def muon(w: Tensor, g: Tensor, s: Memory, lr: float, momentum: float, weight_decay: float) -> None:
    """v <- momentum v + (1 - momentum) g, w <- w - .2 lr sqrt(max(n, m)) O, where O is the orthogonal factor of
    momentum v + (1 - momentum) g (Jordan et al. 2024; scale: Liu et al. 2025, eq. 4)."""
    v = s["v"] = momentum * s.get("v", 0.0) + (1 - momentum) * g
    w *= 1 - lr * weight_decay
    w -= 0.2 * lr * sqrt(max(w.shape)) * orthogonalised((1 - momentum) * g + momentum * v).to(w.dtype)


def orthogonalised(g: Tensor) -> Tensor:
    """X <- a X + (b X X^T + c (X X^T)^2) X takes every singular value near to 1; in bfloat16, as torch does."""
    if len(g) > g.shape[1]:
        return orthogonalised(g.T).T
    a, b, c = QUINTIC
    x = g.bfloat16()
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(ITERATIONS):
        square = x @ x.T
        x = torch.addmm(x, torch.addmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x


# The keys that each optimiser's step takes besides lr and weight_decay.
STEPS: dict[type[Optimizer], tuple[Callable[..., None], tuple[str, ...]]] = {
    optim.SGD: (sgd, ("momentum", "nesterov")),
    optim.RMSprop: (rmsprop, ("alpha", "eps", "momentum")),
    optim.Adagrad: (adagrad, ("lr_decay", "eps")),
    optim.AdamW: (adamw, ("betas", "eps")),
    optim.Adam: (adam, ("betas", "eps")),
    optim.NAdam: (nadam, ("betas", "eps", "momentum_decay")),
    optim.RAdam: (radam, ("betas", "eps")),
    optim.Muon: (muon, ("momentum",)),
}


def of_optimizer(optimizer: Optimizer, parameters: Mapping[str, Tensor]) -> dict[str, Step]:
    """The step of each parameter, with the keys that `optimizer` was made with.

    Raises:
        ConfigError: for this one nothing is written out.
    """
    if not isinstance(optimizer, Muon):
        return dict.fromkeys(parameters, _step(optimizer))
    *inner, rest = optimizer.parts
    hidden = [name for name, p in parameters.items() if p.ndim == 2][1:-1]
    return {name: _step(inner[0] if name in hidden else rest) for name in parameters}


def _step(optimizer: Optimizer) -> Step:
    if type(optimizer) not in STEPS:
        name = type(optimizer).__name__
        raise ConfigError(f"optimizer={name}: no step is written out for it; write it in byhand/steps.py.")
    function, keys = STEPS[type(optimizer)]
    group = optimizer.param_groups[0]
    return partial(function, **{key: group[key] for key in ("lr", "weight_decay", *keys)})


def _moments(g: Tensor, s: Memory, betas: tuple[float, float]) -> tuple[Tensor, Tensor, int]:
    """Adam's running means of g and of g^2, and the number of this step."""
    t = s["t"] = s.get("t", 0) + 1
    m = s["m"] = betas[0] * s.get("m", 0.0) + (1 - betas[0]) * g
    v = s["v"] = betas[1] * s.get("v", 0.0) + (1 - betas[1]) * g**2
    return m, v, t
