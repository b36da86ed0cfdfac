"""Where an initialisation lies in the (sigma_w^2, sigma_b^2) plane."""

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
        gain: of Xavier, He and orthogonal weights. mode: of He's. std: of `normal`.
        sigma_b2: of all but PyTorch's default, which has its own.

    Raises:
        ValueError: no such scheme, or one whose scale follows from depth and data (`critical`, `lsuv`).
    """
    schemes = {
        # U(-1/sqrt(fan_in), 1/sqrt(fan_in)), for the biases too.
        "pytorch": 1 / 3,
        "zeros": 0.0,
        "constant": 0.0,
        "normal": fan_in * std**2,
        "lecun_normal": 1.0,
        "lecun_uniform": 1.0,
        "xavier_normal": gain**2 * 2 * fan_in / (fan_in + fan_out),
        "xavier_uniform": gain**2 * 2 * fan_in / (fan_in + fan_out),
        "he_normal": gain**2 * (fan_in / fan_out if mode == "fan_out" else 1),
        "he_uniform": gain**2 * (fan_in / fan_out if mode == "fan_out" else 1),
        "orthogonal": gain**2 * fan_in / max(fan_in, fan_out),
    }
    if init in DATA_DEPENDENT:
        raise ValueError(f"moments_of: init={init}: its scale follows from depth and data; see critical_sigma_w2")
    if init not in schemes:
        raise ValueError(f"moments_of: init={init}: must be one of {', '.join(schemes)}.{nearest(init, schemes)}")
    return schemes[init], 1 / (3 * fan_in) if init == "pytorch" else sigma_b2
