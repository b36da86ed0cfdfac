"""Networks that say themselves, written by hand, where all of their gradient passes; and the gradient there."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Ways = list[list[tuple[str, Tensor]]]


class Network(nn.Module):
    """`passed` holds what the last forward pass kept: for each way the stations' names and tensors, first layer first."""

    def __init__(self, ways: int = 1) -> None:
        super().__init__()
        self.ways = ways
        self.passed: Ways = []

    def begin(self) -> None:
        self.passed = [[] for _ in range(self.ways)]

    def keep(self, name: str, x: Tensor, *ways: int) -> Tensor:
        for way in ways or range(self.ways):
            self.passed[way].append((name, x))
        return x


def loss_of(outputs: Tensor) -> Tensor:
    """Cross entropy of outputs of shape (samples, classes), to targets that take turns."""
    return F.cross_entropy(outputs, torch.arange(len(outputs), device=outputs.device) % outputs.shape[1])


def norms_at(network: Network, loss: Tensor) -> list[list[tuple[str, float]]]:
    """The stations' names and the norms of the gradients there, by `torch.autograd.grad`; `loss` keeps its graph."""
    return [
        [(name, torch.autograd.grad(loss, tensor, retain_graph=True)[0].norm().item()) for name, tensor in way]
        for way in network.passed
    ]
