"""The command line of `scripts/by_hand.py`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Literal, get_args

import yaml

from gradpath.errors import ConfigError, alternatives, nearest

NETWORKS = ("chain", "two_layer", "mlp")
# What may be typed, with what holds otherwise; None for weights: drawn with the seed.
DEFAULTS: dict[str, dict[str, Any]] = {
    "chain": {"x": 1, "y": 0, "weights": None, "seed": 0, "activation": "sigmoid"},
    "two_layer": {"x": [1, 0], "y": 1, "weights": None, "seed": 0, "activation": "relu", "loss": "mse"},
}
Loss = Literal["mse", "bce"]
# The order of the weights, as they are typed; without biases the second.
ORDERS = {
    "chain": (("w1", "b1", "w2", "b2"), ("w1", "w2")),
    "two_layer": (
        ("w11", "w12", "w21", "w22", "b1", "b2", "v1", "v2", "c"),
        ("w11", "w12", "w21", "w22", "v1", "v2"),
    ),
}


@dataclass(frozen=True)
class Typed:
    """network: of NETWORKS. overrides: of `mlp`. given: numbers by name; activation, loss: options (of the others)."""

    network: str
    overrides: tuple[str, ...] = ()
    given: Mapping[str, float] = field(default_factory=dict)
    activation: str = ""
    loss: Loss = "mse"


def read(arguments: Sequence[str]) -> Typed:
    """`chain`, `two_layer` (when none is named) or `mlp`, and key=value.

    Raises:
        ConfigError: what was typed, and what is allowed.
    """
    named = [text for text in arguments if "=" not in text]
    wrong = next((name for name in named if name not in NETWORKS), None)
    if len(named) > 1 and not wrong:
        raise ConfigError(f"{' '.join(named)}: write one of them.")
    if wrong:
        raise ConfigError(f"{wrong}: must be {alternatives(NETWORKS)}.{nearest(wrong, NETWORKS)}")
    network = named[0] if named else "two_layer"
    rest = tuple(text for text in arguments if "=" in text)
    if network == "mlp":
        return Typed(network, rest)
    keys = DEFAULTS[network]
    chosen = dict(keys)
    for text in rest:
        key, _, value = text.partition("=")
        if key not in keys:
            raise ConfigError(f"{text}: {network} has no such key.{nearest(key, list(keys))} It has {', '.join(keys)}.")
        chosen[key] = _value(text, value)
    inputs = _numbers("x", chosen["x"], [1] if network == "chain" else [2])
    given = dict(zip(("x",) if network == "chain" else ("x1", "x2"), inputs, strict=True))
    (given["y"],) = _numbers("y", chosen["y"], [1])
    given |= _weights(network, chosen["weights"], chosen["seed"])
    loss = chosen.get("loss", "mse")
    if loss not in get_args(Loss):
        raise ConfigError(f"loss={loss}: must be {alternatives(get_args(Loss))}.{nearest(str(loss), get_args(Loss))}")
    if loss == "bce" and given["y"] not in (0, 1):
        raise ConfigError(f"y={given['y']:g}: with loss=bce it is a class, 0 or 1.")
    return Typed(network, (), given, str(chosen["activation"]), loss)


def _value(text: str, value: str) -> Any:
    try:
        found = yaml.safe_load(value)
    except yaml.YAMLError:
        raise ConfigError(f"{text}: not understood; write a number, or a list as [1,0].") from None
    return [_number(one) for one in found] if isinstance(found, list) else _number(found)


def _number(one: Any) -> Any:
    """YAML takes 1e-3 for a word."""
    try:
        return float(one) if isinstance(one, str) else one
    except ValueError:
        return one


def _numbers(key: str, value: Any, counts: Sequence[int]) -> list[float]:
    listed = value if isinstance(value, list) else [value]
    right = all(isinstance(n, int | float) and not isinstance(n, bool) and isfinite(n) for n in listed)
    if not right or len(listed) not in counts:
        many = "a number" if counts == [1] else f"a list of {alternatives([str(n) for n in counts])} numbers"
        raise ConfigError(f"{key}={str(value).replace(' ', '')}: must be {many}.")
    return [float(n) for n in listed]


def _weights(network: str, value: Any, seed: Any) -> dict[str, float]:
    """As typed, biases 0 where they are left out, or drawn: N(0, 1), to two digits, which a reader can follow."""
    whole, short = ORDERS[network]
    if value is not None:
        numbers = _numbers("weights", value, [len(whole), len(short)])
        return dict.fromkeys(whole, 0.0) | dict(zip(whole if len(numbers) == len(whole) else short, numbers, strict=True))
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise ConfigError(f"seed={seed}: must be a whole number, at least 0.")
    # Heavy imports wait until the command line has been found right.
    import torch

    drawn = torch.randn(len(whole), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return {name: round(number, 2) for name, number in zip(whole, drawn.tolist(), strict=True)}
