"""Networks as people build them, around which the probe's cost is measured."""

import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradpath.verdict.probing import probe


class Residual(nn.Module):
    """Eight blocks of two convolutions with BatchNorm, as in a ResNet for small images."""

    def __init__(self, channels: int = 32) -> None:
        super().__init__()

        def convolution(inputs: int) -> nn.Sequential:
            return nn.Sequential(nn.Conv2d(inputs, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))

        self.stem, self.head = convolution(3), nn.Linear(channels, 10)
        self.blocks = nn.ModuleList(nn.Sequential(convolution(channels), nn.ReLU(), convolution(channels)) for _ in range(8))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        for block in self.blocks:
            x = F.relu(x + block(x))
        out: Tensor = self.head(x.mean((2, 3)))
        return out


class Language(nn.Module):
    """A small transformer that predicts tokens."""

    def __init__(self, width: int = 128, tokens: int = 500) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(width, 4, 4 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.embedding, self.head = nn.Embedding(tokens, width), nn.Linear(width, tokens)
        self.body = nn.TransformerEncoder(layer, 6, enable_nested_tensor=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.body(self.embedding(x))[:, -1])
        return out


def seconds_per_step(make: Callable[[], nn.Module], inputs: Tensor, options: dict[str, Any] | None, steps: int) -> float:
    """Seconds per step of a plain loop, with the probe around it unless `options` is None."""
    torch.manual_seed(0)
    network, targets = make(), torch.arange(len(inputs)) % 10
    optimizer = torch.optim.Adam(network.parameters())
    with contextlib.nullcontext() if options is None else probe(network, **options):
        for step in range(steps + 5):
            if step == 5:
                begun = time.perf_counter()
            optimizer.zero_grad()
            F.cross_entropy(network(inputs), targets).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        return (time.perf_counter() - begun) / steps


def peak_memory(make: Callable[[], nn.Module], inputs: Tensor, options: dict[str, Any] | None, steps: int) -> float:
    """MiB that such a loop takes at its peak, in a process of its own. Needs Linux."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_peak, make, inputs, options, steps).result()


def _peak(make: Callable[[], nn.Module], inputs: Tensor, options: dict[str, Any] | None, steps: int) -> float:
    before = _highest()
    seconds_per_step(make, inputs, options, steps)
    return (_highest() - before) / 1024


def _highest() -> int:
    """The most KiB that this process has had. What `getrusage` returns is of the process too that began this one."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
