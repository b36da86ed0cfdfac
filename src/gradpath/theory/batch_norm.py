"""The rate at which |delta|^2 grows towards the input in networks with BatchNorm (Yang et al. 2019)."""

from gradpath.theory.moments import D, V, mean
from gradpath.theory.quadrature import Activation


def batch_norm_rate(activation: Activation, placement: str, sigma_w2: float = 1.0) -> float:
    """Growth R of E|delta|^2 per layer towards the input, in the limit of large batches and widths, gamma = 1, beta = 0.

    BatchNorm before the activation makes the pre-activations N(0, 1) at every layer, whatever the weights (Yang et al.
    2019): R = D(1) / Var phi(z). With BatchNorm after it they are N(0, sigma_w^2):
    R = sigma_w^2 D(sigma_w^2) / Var phi(sigma_w z). By the Gaussian Poincare inequality both are at least 1, and exactly 1
    only for an affine activation: gradients never vanish.

    Args:
        placement: "before" or "after" the activation.
        sigma_w2: matters only for "after".

    Raises:
        ValueError: another placement; a constant activation.
    """
    if placement not in ("before", "after"):
        raise ValueError(f"batch_norm_rate: placement={placement}: must be before or after")
    q = 1.0 if placement == "before" else sigma_w2
    spread = V(activation, q) - mean(activation, q) ** 2
    if spread <= 0:
        raise ValueError("batch_norm_rate: the activation is constant")
    return q * D(activation, q) / spread
