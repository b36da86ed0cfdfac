"""Optimisers that torch.optim does not have as one class."""

from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.optim import AdamW, Optimizer


class Muon(Optimizer):
    """Muon (Jordan et al. 2024) for the hidden weight matrices, AdamW for everything else, as one optimiser.

    The first and the last matrix, biases and normalisations go to AdamW. Muon's step is scaled to AdamW's root mean square
    (Liu et al. 2025, eq. 4), so that one learning rate serves both.

    Args:
        params: the network's parameters in order of depth.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 0.002,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        parameters = list(params)
        matrices = [p for p in parameters if p.ndim == 2]
        hidden = {id(p) for p in matrices[1:-1]}
        super().__init__(parameters, {"lr": lr})
        self.parts: list[Optimizer] = []
        if hidden:
            self.parts.append(
                torch.optim.Muon(
                    [p for p in parameters if id(p) in hidden],
                    lr=lr,
                    momentum=momentum,
                    weight_decay=weight_decay,
                    adjust_lr_fn="match_rms_adamw",
                )
            )
        rest = [p for p in parameters if id(p) not in hidden]
        self.parts.append(AdamW(rest, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay))
        self._share_groups()

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self._share_groups()

    def _share_groups(self) -> None:
        """Shares the parts' groups and states, so that a schedule or a device move on this object reaches the parts."""
        self.param_groups = list(chain.from_iterable(part.param_groups for part in self.parts))
        self.state.clear()
        for part in self.parts:
            self.state.update(part.state)
