"""How large the weights and biases are that an initialisation draws: the one place where its variances are stated."""

from gradpath.errors import nearest

DATA_DEPENDENT = ("critical", "lsuv")


def moments_of(
    init: str,
    fan_in: int,
    fan_out: int,
    *,
    gain: float = 1.0,
    mode: str = "fan_in",
    std: float = 0.05,
    sigma_b2: float = 0.0,
) -> tuple[float, float]:
    """sigma_w^2 = fan_in Var W and sigma_b^2 = Var b of a layer that an option of the `init` group draws.

    Args:
        gain: used by Xavier, He and orthogonal weights.
        mode: used by He's, "fan_in" or "fan_out".
        std: used by `normal`.
        sigma_b2: used by all schemes but PyTorch's default, which has its own.

    Raises:
        ValueError: no such scheme, or one whose scale follows from depth and data (`critical`, `lsuv`).
    """
    variance = variance_of(init, fan_in, fan_out, gain=gain, mode=mode, std=std)
    return fan_in * variance, 1 / (3 * fan_in) if init == "pytorch" else sigma_b2


def variance_of(
    init: str, fan_in: int, fan_out: int, *, gain: float = 1.0, mode: str = "fan_in", std: float = 0.05
) -> float:
    """Var W of a layer; arguments and errors as `moments_of`.

    Sources: LeCun et al. 1998, eq. 16; Glorot & Bengio 2010, eqs. 12 and 16; He et al. 2015, eqs. 10 and 14; for orthonormal
    rows or columns Saxe et al. 2013.
    """
    lecun, xavier = 1 / fan_in, gain**2 * 2 / (fan_in + fan_out)
    he = gain**2 / (fan_out if mode == "fan_out" else fan_in)
    schemes = {
        # U(-1/sqrt(fan_in), 1/sqrt(fan_in)), for the biases too.
        "pytorch": 1 / (3 * fan_in),
        "zeros": 0.0,
        "constant": 0.0,
        "normal": std**2,
        "lecun_normal": lecun,
        "lecun_uniform": lecun,
        "xavier_normal": xavier,
        "xavier_uniform": xavier,
        "he_normal": he,
        "he_uniform": he,
        "orthogonal": gain**2 / max(fan_in, fan_out),
    }
    if init in DATA_DEPENDENT:
        raise ValueError(f"moments_of: init={init}: its scale follows from depth and data; see critical_sigma_w2")
    if init not in schemes:
        raise ValueError(f"moments_of: init={init}: must be one of {', '.join(schemes)}.{nearest(init, schemes)}")
    return schemes[init]
