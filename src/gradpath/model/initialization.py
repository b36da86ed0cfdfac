"""Every initialisation, one short function each: `scheme(network, inputs, **options)` sets W and b in place.

`inputs` is a batch of the run's data, (batch, in_features), for the schemes that look at it. Every function that an `init`
option names with `_target_` has this signature, including a user's own. sigma_w^2 = fan_in * Var(W).
"""

import pickle
from collections.abc import Callable
from functools import lru_cache
from math import sqrt
from typing import Any, Literal

import torch
from torch import Tensor, nn

from gradpath.errors import ConfigError
from gradpath.model.network import MLP
from gradpath.theory.mean_field import critical_sigma_w2
from gradpath.theory.moments import V
from gradpath.theory.quadrature import in_float64
from gradpath.theory.scales import variance_of

# The activations for which `torch.nn.init.calculate_gain` has an entry.
TORCH_GAINS: dict[type[nn.Module], Literal["linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu"]] = {
    nn.Identity: "linear",
    nn.Sigmoid: "sigmoid",
    nn.Tanh: "tanh",
    nn.ReLU: "relu",
    nn.LeakyReLU: "leaky_relu",
    nn.SELU: "selu",
}


def pytorch(network: MLP, inputs: Tensor) -> None:
    """W, b ~ U(-1/sqrt(fan_in), 1/sqrt(fan_in)), as `nn.Linear` does: sigma_w^2 = 1/3, sigma_b^2 = 1/(3 fan_in)."""
    for linear in network.linears:
        linear.reset_parameters()


def zeros(network: MLP, inputs: Tensor, sigma_b2: float = 0.0) -> None:
    """W = 0."""
    _fill(network, nn.init.zeros_, sigma_b2)


def constant(network: MLP, inputs: Tensor, value: float = 0.1, sigma_b2: float = 0.0) -> None:
    """W_ij = value."""
    _fill(network, lambda weight: nn.init.constant_(weight, value), sigma_b2)


def normal(network: MLP, inputs: Tensor, std: float = 0.05, sigma_b2: float = 0.0) -> None:
    """W ~ N(0, std^2): sigma_w^2 = fan_in std^2."""
    _fill(network, lambda weight: nn.init.normal_(weight, std=std), sigma_b2)


def lecun_normal(network: MLP, inputs: Tensor, sigma_b2: float = 0.0) -> None:
    """W ~ N(0, 1/fan_in): sigma_w^2 = 1 (LeCun et al. 1998, eq. 16)."""
    _fill(network, lambda weight: _normal(weight, "lecun_normal"), sigma_b2)


def lecun_uniform(network: MLP, inputs: Tensor, sigma_b2: float = 0.0) -> None:
    """W ~ U with variance 1/fan_in: sigma_w^2 = 1 (LeCun et al. 1998, eq. 16)."""
    _fill(network, lambda weight: _uniform(weight, "lecun_uniform"), sigma_b2)


def xavier_normal(network: MLP, inputs: Tensor, gain: float | str = "auto", sigma_b2: float = 0.0) -> None:
    """W normal, Var W = gain^2 2 / (fan_in + fan_out) (Glorot & Bengio 2010, eq. 12)."""
    g = resolve_gain(gain, network.activation)
    _fill(network, lambda weight: _normal(weight, "xavier_normal", gain=g), sigma_b2)


def xavier_uniform(network: MLP, inputs: Tensor, gain: float | str = "auto", sigma_b2: float = 0.0) -> None:
    """W uniform, Var W = gain^2 2 / (fan_in + fan_out) (Glorot & Bengio 2010, eq. 16)."""
    g = resolve_gain(gain, network.activation)
    _fill(network, lambda weight: _uniform(weight, "xavier_uniform", gain=g), sigma_b2)


def he_normal(network: MLP, inputs: Tensor, gain: float | str = "auto", mode: str = "fan_in", sigma_b2: float = 0.0) -> None:
    """W ~ N(0, gain^2 / fan), fan = fan_in or fan_out (He et al. 2015, eqs. 10 and 14)."""
    g = resolve_gain(gain, network.activation)
    _fill(network, lambda weight: _normal(weight, "he_normal", gain=g, mode=mode), sigma_b2)


def he_uniform(
    network: MLP, inputs: Tensor, gain: float | str = "auto", mode: str = "fan_in", sigma_b2: float = 0.0
) -> None:
    """W ~ U with variance gain^2 / fan, fan = fan_in or fan_out (He et al. 2015, eqs. 10 and 14)."""
    g = resolve_gain(gain, network.activation)
    _fill(network, lambda weight: _uniform(weight, "he_uniform", gain=g, mode=mode), sigma_b2)


def orthogonal(network: MLP, inputs: Tensor, gain: float | str = "auto", sigma_b2: float = 0.0) -> None:
    """W = gain * Q with orthonormal rows or columns (Saxe et al. 2013): sigma_w^2 = gain^2 fan_in / max(fan_in, fan_out)."""
    g = resolve_gain(gain, network.activation)
    _fill(network, lambda weight: nn.init.orthogonal_(weight, g), sigma_b2)


def critical(network: MLP, inputs: Tensor, sigma_b2: float = 0.0) -> None:
    """W ~ N(0, sigma_w^2 / fan_in) with the sigma_w^2 at which theory predicts no net growth of |delta| over the depth.

    The length map starts at the mean square of `inputs`. sigma_w^2 is 1 if there is no hidden layer to balance.

    Raises:
        ConfigError: no scale balances this activation.
    """
    depth = len(network.linears) - 1
    sigma_w2 = 1.0
    if network.activation is not None:
        input_norm = inputs.double().square().mean().item()
        try:
            sigma_w2 = _critical_sigma_w2(network.activation, sigma_b2, input_norm, depth)
        except ValueError as error:
            raise ConfigError(f"init=critical: {error} with this activation; choose another init.") from None
    _fill(network, lambda weight: nn.init.normal_(weight, std=sqrt(sigma_w2 / weight.shape[1])), sigma_b2)


def lsuv(network: MLP, inputs: Tensor, tolerance: float = 0.1, max_passes: int = 10, sigma_b2: float = 0.0) -> None:
    """Layer-sequential unit variance (Mishkin & Matas 2016, algorithm 1).

    W is drawn orthonormal. Then, layer by layer, W is divided by the standard deviation of the layer's output on `inputs`
    until |Var - 1| < tolerance, at most `max_passes` times.
    """
    _fill(network, nn.init.orthogonal_, sigma_b2)
    x = inputs.flatten(1)
    with torch.no_grad():
        for block, linear in zip(network.blocks, network.linears, strict=True):
            for _ in range(max_passes):
                spread = linear(x).var(correction=0)
                if abs(spread - 1) < tolerance or spread == 0:
                    break
                linear.weight /= spread.sqrt()
            x = block(x)


def resolve_gain(gain: float | str, activation: nn.Module | None) -> float:
    """`gain` itself, or for "auto" the activation's gain: PyTorch's if it has one, else 1 / sqrt(V(1)).

    1 / sqrt(V(1)) keeps the second moment of a layer fed with unit-variance pre-activations (He et al. 2015 for any phi);
    for ReLU and LeakyReLU the two agree.

    Raises:
        ConfigError: the activation's second moment is not a positive number.
    """
    if not isinstance(gain, str):
        return float(gain)
    if activation is None:
        return 1.0
    name = TORCH_GAINS.get(type(activation))
    if name is not None:
        return nn.init.calculate_gain(name, getattr(activation, "negative_slope", None))
    second_moment = V(in_float64(activation), 1.0)
    if not 0 < second_moment < float("inf"):
        raise ConfigError("init.gain=auto: this activation's second moment is not a positive number; set init.gain.")
    return 1 / sqrt(second_moment)


@torch.no_grad()
def _fill(network: MLP, weight_: Callable[[Tensor], object], sigma_b2: float) -> None:
    for linear in network.linears:
        weight_(linear.weight)
        nn.init.normal_(linear.bias, std=sqrt(sigma_b2)) if sigma_b2 else nn.init.zeros_(linear.bias)


def _critical_sigma_w2(activation: nn.Module, sigma_b2: float, input_norm: float, depth: int) -> float:
    """The critical sigma_w^2. It takes up to a second, so it is remembered for networks drawn again with another seed."""
    try:
        # Two activations are the same if they are pickled to the same bytes.
        return _remembered(pickle.dumps(activation), sigma_b2, input_norm, depth)
    except (pickle.PicklingError, AttributeError, TypeError):
        return critical_sigma_w2(in_float64(activation), sigma_b2, input_norm, depth)


@lru_cache(maxsize=64)
def _remembered(activation: bytes, sigma_b2: float, input_norm: float, depth: int) -> float:
    return critical_sigma_w2(in_float64(pickle.loads(activation)), sigma_b2, input_norm, depth)


def _normal(weight: Tensor, init: str, **options: Any) -> Tensor:
    fan_out, fan_in = weight.shape
    return nn.init.normal_(weight, std=sqrt(variance_of(init, fan_in, fan_out, **options)))


def _uniform(weight: Tensor, init: str, **options: Any) -> Tensor:
    fan_out, fan_in = weight.shape
    bound = sqrt(3 * variance_of(init, fan_in, fan_out, **options))
    return nn.init.uniform_(weight, -bound, bound)
