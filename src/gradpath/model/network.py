"""The multi-layer perceptron: a list of blocks, each a linear layer, a normalisation and an activation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

Placement = str  # "none", "before" or "after" the activation
# The probe recognises by this attribute an activation that torch does not list as one: a user's class, the identity.
ACTIVATION_MARK = "is_activation"


class Block(nn.Sequential):
    """x -> phi(norm(W x + b)), or norm(phi(W x + b)) with placement "after". The last block of a network is linear."""

    def __init__(
        self, linear: nn.Linear, activation: nn.Module | None, norm: nn.Module | None, placement: Placement
    ) -> None:
        if activation is not None:
            setattr(activation, ACTIVATION_MARK, True)
        parts: dict[str, nn.Module | None] = {
            "linear": linear,
            "norm_before": norm if placement == "before" else None,
            "activation": activation,
            "norm_after": norm if placement == "after" else None,
        }
        super().__init__()
        for name, part in parts.items():
            if part is not None:
                self.add_module(name, part)


@dataclass(frozen=True)
class LayerSummary:
    """One row of the network's table. `sigma_w2` is fan_in * Var(W) as drawn, `sigma_b2` is Var(b)."""

    name: str
    shape: str
    parameters: int
    sigma_w2: float
    sigma_b2: float


class MLP(nn.Module):
    """A fully connected network with `len(hidden)` hidden layers and a linear output layer.

    Args:
        in_features: inputs per sample; all dimensions of a batch after the first are flattened into one.
        hidden: widths of the hidden layers, first to last; empty for a linear model.
        out_features: outputs per sample (logits, or the regressed values).
        activation: makes a fresh activation module.
        norm: makes a normalisation module for a given width; None for no normalisation.
        placement: where the normalisation stands: "none", "before" or "after" the activation.
        output: applied to the last layer's values; `nn.Identity()` leaves logits.

    Shapes: (batch, ...) with in_features values per sample -> (batch, out_features).
    """

    def __init__(
        self,
        in_features: int,
        hidden: Sequence[int],
        out_features: int,
        activation: Callable[[], nn.Module] = nn.ReLU,
        norm: Callable[[int], nn.Module] | None = None,
        placement: Placement = "none",
        output: nn.Module | None = None,
    ) -> None:
        super().__init__()
        widths = [in_features, *hidden]
        blocks = [Block(nn.Linear(m, n), activation(), norm(n) if norm else None, placement) for m, n in pairwise(widths)]
        self.blocks = nn.Sequential(*blocks, Block(nn.Linear(widths[-1], out_features), None, None, "none"))
        self.output = output or nn.Identity()
        self.normalized = norm is not None

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.output(self.blocks(x.flatten(1)))
        return outputs

    @property
    def linears(self) -> list[nn.Linear]:
        """The linear layers, first hidden layer first, the output layer last."""
        return [part for block in self.blocks for part in block.children() if isinstance(part, nn.Linear)]

    @property
    def activation(self) -> nn.Module | None:
        """The activation of the hidden layers, or None without hidden layers."""
        return self.blocks[0].get_submodule("activation") if len(self.blocks) > 1 else None

    def summary(self) -> list[LayerSummary]:
        """One row per linear layer; its parameters include those of its normalisation."""
        return [
            LayerSummary(
                name=layer_name(index, len(self.blocks)),
                shape=f"{linear.in_features} -> {linear.out_features}",
                parameters=sum(p.numel() for p in block.parameters()),
                sigma_w2=linear.in_features * variance(linear.weight),
                sigma_b2=variance(linear.bias),
            )
            for index, (block, linear) in enumerate(zip(self.blocks, self.linears, strict=True))
        ]

    def __repr__(self) -> str:
        rows = self.summary()
        parts = " -> ".join(type(part).__name__ for part in self.blocks[0].children())
        lines = [f"MLP: {parts}", f"{'layer':<10}{'shape':>14}{'parameters':>12}{'sigma_w^2':>11}{'sigma_b^2':>11}"]
        lines += [f"{r.name:<10}{r.shape:>14}{r.parameters:>12,}{r.sigma_w2:>11.4g}{r.sigma_b2:>11.4g}" for r in rows]
        return "\n".join([*lines, f"{'total':<24}{count_parameters(self):>12,}"])


def layer_name(index: int, layers: int) -> str:
    """`hidden_01`, `hidden_02`, ..., `output`: the order of the names is the order of depth."""
    return "output" if index == layers - 1 else f"hidden_{index + 1:02d}"


def count_parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@torch.no_grad()
def variance(values: Tensor) -> float:
    """The variance of all entries about their mean, computed in float64."""
    return values.double().var(correction=0).item()
