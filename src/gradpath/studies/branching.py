"""Networks whose gradient does not simply go from layer to layer. Each says, written by hand, where all of it passes."""

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradpath.studies.ways_by_hand import Network


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
        out: Tensor = block["o"](F.scaled_dot_product_attention(block["q"](x), block["k"](x), block["v"](x)))
        return out

    @staticmethod
    def mlp(block: Any, x: Tensor) -> Tensor:
        out: Tensor = block["down"](F.gelu(block["up"](x)))
        return out


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


class Recurrent(Network):
    def __init__(self, first: bool) -> None:
        super().__init__()
        self.first, self.embedding, self.head = first, nn.Embedding(10, 6), nn.Linear(10, 3)
        self.lstm = nn.LSTM(6, 5, num_layers=2, batch_first=first, bidirectional=True)

    def forward(self, tokens: Tensor) -> Tensor:
        self.begin()
        x = self.keep("embedding", self.embedding(tokens if self.first else tokens.T))
        x = self.keep("lstm", self.lstm(x)[0])
        return self.keep("head", self.head(x[:, -1] if self.first else x[-1]))


class Attention(Network):
    """An image is cut into patches; a token is added in front."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.head = nn.Conv2d(1, 8, 4, stride=4), nn.Linear(8, 3)
        self.token, self.place = nn.Parameter(torch.randn(1, 1, 8)), nn.Parameter(torch.randn(1, 5, 8))
        self.attention = nn.ModuleList(nn.MultiheadAttention(8, 2, batch_first=True) for _ in range(3))
        self.norm = nn.LayerNorm(8)

    def forward(self, x: Tensor) -> Tensor:
        self.begin()
        x = self.keep("patch", self.patch(x)).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.place
        for index, attention in enumerate(self.attention):
            z = self.norm(x)
            x = self.keep(f"attention.{index} +", x + attention(z, z, z, need_weights=False)[0])
        return self.keep("head", self.head(self.norm(x)[:, 0]))


class Dense(Network):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv1d(1, 2, 3, padding=1), nn.Linear(8, 3)
        self.convs = nn.ModuleList(nn.Conv1d(2 + 2 * index, 2, 3, padding=1) for index in range(3))

    def forward(self, x: Tensor) -> Tensor:
        self.begin()
        x = self.keep("stem", self.stem(x))
        for index, conv in enumerate(self.convs):
            x = self.keep(f"convs.{index} +", torch.cat([x, conv(F.silu(x))], 1))
        return self.keep("head", self.head(x.mean(2)))


class Mixture(Network):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.gate, self.head = nn.Linear(6, 6), nn.Linear(6, 3), nn.Linear(6, 3)
        self.experts = nn.ModuleList(nn.Linear(6, 6) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        self.begin()
        x = torch.tanh(self.keep("stem", self.stem(x)))
        shares = self.gate(x).softmax(1)
        one, two, three = (shares[:, i, None] * torch.tanh(expert(x)) for i, expert in enumerate(self.experts))
        return self.keep("head", self.head(self.keep("experts.2 +", one + two + three)))


class Tied(Network):
    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.one, self.head = nn.Embedding(10, 6), nn.Linear(6, 6), nn.Linear(6, 10, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        self.begin()
        x = self.keep("embedding", self.embedding(tokens))
        x = self.keep("one +", x + torch.tanh(self.one(x)))
        return self.keep("head", self.head(x)).flatten(0, 1)


class Reused(Network):
    """One layer is used five times, and one output at each of them."""

    def __init__(self) -> None:
        super().__init__(ways=2)
        self.cell, self.inject, self.head = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        self.begin()
        given = self.keep("inject", self.inject(x), 1)
        z = torch.zeros_like(x)
        for index in range(5):
            h = self.keep(f"cell#{index + 1}" if index else "cell", self.cell(z), 0)
            both = h + given
            z = torch.tanh(both)
        self.keep("cell#5 +", both, 1)
        return self.keep("head", self.head(z))


class Adapted(Network):
    """Frozen layers, each with two small ones beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.base = nn.ModuleList(nn.Linear(6, 6) for _ in range(3)).requires_grad_(False)
        self.down, self.up = (nn.ModuleList(nn.Linear(i, o) for _ in range(3)) for i, o in ((6, 2), (2, 6)))

    def forward(self, x: Tensor) -> Tensor:
        self.begin()
        for index, (base, down, up) in enumerate(zip(self.base, self.down, self.up, strict=True)):
            low = down(x)
            high = up(low)
            both = base(x) + high
            if index:
                self.keep(f"up.{index} +", both)
            else:
                self.keep("down.0", low)
                self.keep("up.0", high)
            x = torch.tanh(both)
        return x


class Computed(Network):
    """Weights that are computed from others, and complex numbers in between."""

    def __init__(self) -> None:
        super().__init__()
        norm = nn.utils.parametrizations.weight_norm
        self.one, self.two, self.head = norm(nn.Linear(6, 6)), norm(nn.Linear(6, 6)), norm(nn.Linear(4, 3))

    def forward(self, x: Tensor) -> Tensor:
        self.begin()
        x = self.keep("one", self.one(x))
        x = torch.fft.rfft(self.keep("two +", x + torch.sin(self.two(x)))).abs()
        return self.keep("head", self.head(x))


class Convolutions(Network):
    """A plain chain of convolutions, with BatchNorm or without."""

    def __init__(self, norm: bool, depth: int = 6) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(4 if index else 1, 4, 3, padding=1, bias=not norm) for index in range(depth))
        self.norms = nn.ModuleList(nn.BatchNorm2d(4) if norm else nn.Identity() for _ in range(depth))
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        self.begin()
        for index, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = F.relu(norm(self.keep(f"convs.{index}", conv(x))))
        return self.keep("head", self.head(F.adaptive_avg_pool2d(x, 2).flatten(1)))


class Unrolled(Network):
    """A layer over time, whose first step is the deepest."""

    def __init__(self, steps: int = 12) -> None:
        super().__init__()
        self.steps, self.cell, self.head = steps, nn.Linear(9, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        self.begin()
        state = x.new_zeros(len(x), 6)
        for step in range(self.steps):
            given = torch.cat([x[:, step], torch.tanh(state)], 1)
            state = self.keep(f"cell#{step + 1}" if step else "cell", self.cell(given))
        return self.keep("head", self.head(state))


class Autoencoder(Network):
    def __init__(self) -> None:
        super().__init__()
        sizes = (6, 5, 4, 2, 4, 5, 6)
        self.layers = nn.ModuleList(nn.Linear(i, o) for i, o in pairwise(sizes))

    def forward(self, x: Tensor) -> Tensor:
        self.begin()
        for index, layer in enumerate(self.layers):
            x = F.softplus(self.keep(f"layers.{index}", layer(x)))
        return x


class Adversaries(Network):
    """A generator's loss: its gradient comes through the discriminator."""

    def __init__(self) -> None:
        super().__init__()
        self.generator, self.discriminator = (nn.ModuleList(nn.Linear(6, 6) for _ in range(4)) for _ in range(2))

    def forward(self, z: Tensor) -> Tensor:
        self.begin()
        for name in ("generator", "discriminator"):
            for index, layer in enumerate(self.get_submodule(name).children()):
                z = F.leaky_relu(self.keep(f"{name}.{index}", layer(z)), 0.2)
        return z
