"""Networks whose gradient does not simply go from layer to layer. Each says, written by hand, where all of it passes."""

from collections.abc import Callable
from typing import Any

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


class Plain(Network):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(8))

    def forward(self, x: Tensor) -> Tensor:
        self.begin()
        for index, layer in enumerate(self.layers):
            x = torch.tanh(self.keep(f"layers.{index}", layer(x)))
        return x


class Transformer(Network):
    def __init__(self, pre: bool, blocks: int = 3, width: int = 8) -> None:
        super().__init__()
        self.pre, self.embedding, self.head = pre, nn.Embedding(10, width), nn.Linear(width, 10)
        self.blocks = nn.ModuleList(
            nn.ModuleDict({name: nn.Linear(width, width) for name in ("q", "k", "v", "o", "up", "down")})
            for _ in range(blocks)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        self.begin()
        x = self.keep("embedding", self.embedding(tokens))
        for index, block in enumerate(self.blocks):
            for last, branch in (("o", self.attention), ("down", self.mlp)):
                x = x + branch(block, self.norm(x) if self.pre else x)
                self.keep(f"blocks.{index}.{last} +", x)
                x = x if self.pre else self.norm(x)
        return self.keep("head", self.head(self.norm(x))).flatten(0, 1)

    @staticmethod
    def attention(block: Any, x: Tensor) -> Tensor:
        return block["o"](F.scaled_dot_product_attention(block["q"](x), block["k"](x), block["v"](x)))

    @staticmethod
    def mlp(block: Any, x: Tensor) -> Tensor:
        return block["down"](F.gelu(block["up"](x)))


class ResidualConv(Network):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(16, 3)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
            )
            for _ in range(4)
        )

    def forward(self, x: Tensor) -> Tensor:
        self.begin()
        x = F.relu(self.keep("stem", self.stem(x)))
        for index, block in enumerate(self.blocks):
            x = F.relu(self.keep(f"blocks.{index}.3 +", x + block(x)))
        return self.keep("head", self.head(F.adaptive_avg_pool2d(x, 2).flatten(1)))


class Towers(Network):
    def __init__(self) -> None:
        super().__init__(ways=2)
        self.sick = nn.ModuleList(nn.Linear(6, 6) for _ in range(5))
        self.well = nn.Linear(6, 6)
        self.head = nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        self.begin()
        well, sick = torch.relu(self.keep("well", self.well(x), 1)), x
        for index, layer in enumerate(self.sick):
            sick = torch.sigmoid(self.keep(f"sick.{index}", layer(sick), 0))
        return self.keep("head", self.head(torch.cat([well, sick], 1)))


class UNet(Network):
    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2, self.middle = (nn.Conv2d(i, o, 3, padding=1) for i, o in ((1, 4), (4, 6), (6, 6)))
        self.up2, self.up1, self.head = (nn.Conv2d(i, o, 3, padding=1) for i, o in ((12, 4), (8, 4), (4, 3)))

    def forward(self, x: Tensor) -> Tensor:
        self.begin()
        one = F.relu(self.keep("down1", self.down1(x)))
        two = F.relu(self.down2(F.max_pool2d(one, 2)))
        three = F.relu(self.middle(F.max_pool2d(two, 2)))
        two = F.relu(self.up2(torch.cat([F.interpolate(three, scale_factor=2), two], 1)))
        both = self.keep("up2 +", torch.cat([F.interpolate(two, scale_factor=2), one], 1))
        x = self.keep("head", self.head(F.relu(self.keep("up1", self.up1(both)))))
        return x.mean((2, 3))


def tokens() -> Tensor:
    return torch.randint(10, (4, 7), generator=torch.Generator().manual_seed(2))


def normal(*shape: int) -> Callable[[], Tensor]:
    return lambda: torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


# Name -> how to make the network, how to make its inputs.
SIX: dict[str, tuple[Callable[[], Network], Callable[[], Tensor]]] = {
    "plain": (Plain, normal(5, 6)),
    "pre-norm transformer": (lambda: Transformer(True), tokens),
    "post-norm transformer": (lambda: Transformer(False), tokens),
    "residual conv net": (ResidualConv, normal(5, 1, 8, 8)),
    "two towers": (Towers, normal(5, 6)),
    "U-Net": (UNet, normal(3, 1, 8, 8)),
}


def made(name: str, zoo: Any = None) -> tuple[Network, Tensor]:
    """The network in float64, the same at each call, with its inputs."""
    maker, inputs = (zoo or SIX)[name]
    torch.manual_seed(0)
    return maker().double(), inputs()


def loss_of(outputs: Tensor) -> Tensor:
    """Cross entropy of outputs of shape (samples, classes), to targets that take turns."""
    return F.cross_entropy(outputs, torch.arange(len(outputs)) % outputs.shape[1])


def norms_at(network: Network, loss: Tensor) -> list[list[tuple[str, float]]]:
    """The stations' names and the norms of the gradients there, by `torch.autograd.grad`; `loss` keeps its graph."""
    return [
        [(name, torch.autograd.grad(loss, tensor, retain_graph=True)[0].norm().item()) for name, tensor in way]
        for way in network.passed
    ]
