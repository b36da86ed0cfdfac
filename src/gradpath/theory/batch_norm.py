"""BatchNorm explodes: the rate at which |delta|^2 grows towards the input behind normalised layers (Yang et al. 2019)."""

from gradpath.theory.moments import D, V, mean
from gradpath.theory.quadrature import Activation


def batch_norm_rate(activation: Activation, placement: str, sigma_w2: float = 1.0) -> float:
    """Growth R of E|delta|^2 per layer towards the input, in the limit of large batches and widths, gamma = 1, beta = 0.

    Before the activation the pre-activations become N(0, 1) at every layer, whatever the weights (Yang et al. 2019):
    R = D(1) / Var phi(z). After it they are N(0, sigma_w^2): R = sigma_w^2 D(sigma_w^2) / Var phi(sigma_w z).
    The Gaussian Poincare inequality makes both at least 1, and 1 for an affine activation only: such a network never
    vanishes.

    Args:
        placement: "before" or "after" the activation.
        sigma_w2: matters behind the activation only.

    Raises:
        ValueError: another placement; an activation that is constant.
    """
    if placement not in ("before", "after"):
        raise ValueError(f"batch_norm_rate: placement={placement}: must be before or after")
    q = 1.0 if placement == "before" else sigma_w2
    spread = V(activation, q) - mean(activation, q) ** 2
    if spread <= 0:
        raise ValueError("batch_norm_rate: the activation is constant")
    return q * D(activation, q) / spread
