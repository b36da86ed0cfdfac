"""What `scripts/by_hand.py` is given: the network, and the numbers of its worksheet."""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from gradpath.config.arguments import Command, Keys, Value, numbers, one_of, whole
from gradpath.errors import ConfigError

Loss = Literal["mse", "bce"]
# The order of the weights, as they are typed; without biases the second.
ORDERS = {
    "chain": (("w1", "b1", "w2", "b2"), ("w1", "w2")),
    "two_layer": (
        ("w11", "w12", "w21", "w22", "b1", "b2", "v1", "v2", "c"),
        ("w11", "w12", "w21", "w22", "v1", "v2"),
    ),
}
# By name, the inputs of a network.
INPUTS = {"chain": ("x",), "two_layer": ("x1", "x2")}
SEED = Value(whole(0), default=0)
NETWORKS = {
    "chain": Keys({
        "x": Value(numbers(1), default=[1.0]),
        "y": Value(numbers(1), default=[0.0]),
        "weights": Value(numbers(4, 2)),
        "seed": SEED,
        "activation": Value(default="sigmoid"),
    }),
    "two_layer": Keys({
        "x": Value(numbers(2), default=[1.0, 0.0]),
        "y": Value(numbers(1), default=[1.0]),
        "weights": Value(numbers(9, 6)),
        "seed": SEED,
        "activation": Value(default="relu"),
        "loss": Value(one_of(get_args(Loss)), default="mse"),
    }),
    "mlp": Keys(overrides=True),
}  # fmt: skip


@dataclass(frozen=True)
class Typed:
    """network: of NETWORKS. overrides: of `mlp`. given: numbers by name; activation, loss: options (of the others)."""

    network: str
    overrides: tuple[str, ...] = ()
    given: Mapping[str, float] = field(default_factory=dict)
    activation: str = ""
    loss: Loss = "mse"


def read(doc: str | None, typed: Sequence[str] | None = None) -> Typed:
    """`chain`, `two_layer` (when none is named) or `mlp`, and key=value.

    Raises:
        ConfigError: what was typed, and what is allowed.
    """
    words = {"network": Value(one_of(tuple(NETWORKS)), "|".join(NETWORKS), default="two_layer")}
    chosen = Command(doc, words, NETWORKS).read(typed)
    network: str = chosen.network
    if network == "mlp":
        return Typed(network, tuple(chosen.overrides))
    loss: Loss = getattr(chosen, "loss", "mse")
    (y,) = chosen.y
    if loss == "bce" and y not in (0, 1):
        raise ConfigError(f"y={y:g}: with loss=bce it is a class, 0 or 1.")
    given = {**dict(zip(INPUTS[network], chosen.x, strict=True)), "y": y, **_weights(chosen)}
    return Typed(network, (), given, chosen.activation, loss)


def _weights(chosen: Namespace) -> dict[str, float]:
    """The weights as typed, with biases of 0 if they are left out; else drawn from N(0, 1) and rounded to two digits."""
    every, short = ORDERS[chosen.network]
    if chosen.weights:
        order = every if len(chosen.weights) == len(every) else short
        return dict.fromkeys(every, 0.0) | dict(zip(order, chosen.weights, strict=True))
    # Heavy imports wait until the command line has been found right.
    import torch

    drawn = torch.randn(len(every), generator=torch.Generator().manual_seed(chosen.seed), dtype=torch.float64)
    return {name: round(number, 2) for name, number in zip(every, drawn.tolist(), strict=True)}
