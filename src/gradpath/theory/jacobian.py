"""The spread of the singular values of the input-output Jacobian J (Pennington et al. 2017)."""

from dataclasses import dataclass
from typing import Literal

from gradpath.theory.moments import slope_moment
from gradpath.theory.quadrature import Activation


@dataclass(frozen=True)
class JacobianMoments:
    """Mean of the eigenvalues of J J^T, and their variance divided by the square of the mean."""

    mean: float
    relative_variance: float


def jacobian_moments(
    activation: Activation, q: float, sigma_w2: float, depth: int, weights: Literal["gaussian", "orthogonal"]
) -> JacobianMoments:
    """Moments of the Jacobian of L = `depth` layers of equal width at the fixed point q (Pennington et al. 2017).

    The mean is (sigma_w^2 mu_1)^L and the relative variance L (mu_2 / mu_1^2 - 1 - s_1), with mu_k = E phi'^(2k), s_1 = -1
    for Gaussian weights and 0 for orthogonal ones.

    Raises:
        ValueError: another kind of weights; a flat activation.
    """
    if weights not in ("gaussian", "orthogonal"):
        raise ValueError(f"jacobian_moments: weights={weights}: must be gaussian or orthogonal")
    first, second = slope_moment(activation, q, 2), slope_moment(activation, q, 4)
    if first == 0:
        raise ValueError("jacobian_moments: the activation is flat")
    s_1 = -1 if weights == "gaussian" else 0
    return JacobianMoments((sigma_w2 * first) ** depth, depth * (second / first**2 - 1 - s_1))
