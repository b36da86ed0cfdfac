"""Every scheme against its variance formula, and the gains."""

from math import exp, pi, sqrt

import pytest
import torch
from scipy import integrate, special
from torch import nn

from gradpath.model import initialization as init
from gradpath.model.network import MLP
from gradpath.theory.mean_field import critical_sigma_w2

X = torch.randn(256, 300)


def drawn(scheme: str, activation: type[nn.Module] = nn.ReLU, **options: object) -> MLP:
    torch.manual_seed(0)
    network = MLP(300, [500, 400], 200, activation)
    getattr(init, scheme)(network, X, **options)
    return network


@pytest.mark.parametrize(
    ("scheme", "options", "variance"),
    [
        ("pytorch", {}, lambda m, n: 1 / (3 * m)),
        ("normal", {"std": 0.03}, lambda m, n: 0.03**2),
        ("lecun_normal", {}, lambda m, n: 1 / m),
        ("lecun_uniform", {}, lambda m, n: 1 / m),
        ("xavier_normal", {"gain": 1.0}, lambda m, n: 2 / (m + n)),
        ("xavier_uniform", {"gain": 1.0}, lambda m, n: 2 / (m + n)),
        ("xavier_normal", {"gain": 1.5}, lambda m, n: 1.5**2 * 2 / (m + n)),
        ("he_normal", {}, lambda m, n: 2 / m),
        ("he_uniform", {}, lambda m, n: 2 / m),
        ("he_normal", {"mode": "fan_out"}, lambda m, n: 2 / n),
        ("he_uniform", {"mode": "fan_out", "gain": 1.0}, lambda m, n: 1 / n),
        ("orthogonal", {"gain": 1.0}, lambda m, n: 1 / max(m, n)),
        ("critical", {}, lambda m, n: 2 / m),
    ],
)
def test_variance(scheme: str, options: dict[str, object], variance) -> None:
    for linear in drawn(scheme, **options).linears:
        n, m = linear.weight.shape
        # With 60,000 weights and more the sample variance is within 1 % of the true one; 4 % is many deviations off.
        assert linear.weight.var().item() == pytest.approx(variance(m, n), rel=0.04)
        assert abs(linear.weight.mean().item()) < 4 * sqrt(variance(m, n) / (m * n))


@pytest.mark.parametrize(("scale", "sigma_w2"), [(1.0, 1.6521), (2.0, None)])
def test_critical_knows_the_depth_and_the_inputs(scale: float, sigma_w2: float | None) -> None:
    """Tanh at depth 20 needs sigma_w^2 = 1.6521 for inputs of mean square 1; larger inputs saturate it and need more."""
    torch.manual_seed(0)
    network = MLP(300, [300] * 20, 10, nn.Tanh)
    inputs = torch.randn(4000, 300)
    init.critical(network, scale * inputs / inputs.square().mean().sqrt())
    found = sum(300 * linear.weight.double().var().item() for linear in network.linears[:-1]) / 20
    expected = sigma_w2 or critical_sigma_w2(nn.Tanh(), 0.0, scale**2, 20)
    assert found == pytest.approx(expected, rel=0.01)
    assert sigma_w2 or expected > 1.02 * 1.6521


@pytest.mark.parametrize("scheme", ["lecun_uniform", "xavier_uniform", "he_uniform", "pytorch"])
def test_uniform_schemes_have_an_edge(scheme: str) -> None:
    for linear in drawn(scheme).linears:
        edge = sqrt(3) * linear.weight.std().item()
        assert linear.weight.abs().max().item() == pytest.approx(edge, rel=0.02)


def test_zeros_and_constant() -> None:
    assert all((linear.weight == 0).all() and (linear.bias == 0).all() for linear in drawn("zeros").linears)
    assert all((linear.weight == 0.25).all() for linear in drawn("constant", value=0.25).linears)


@pytest.mark.parametrize(
    "scheme", ["normal", "lecun_uniform", "xavier_normal", "he_uniform", "orthogonal", "critical", "lsuv"]
)
def test_biases(scheme: str) -> None:
    assert all((linear.bias == 0).all() for linear in drawn(scheme).linears)
    biases = torch.cat([linear.bias for linear in drawn(scheme, sigma_b2=0.04).linears])
    assert biases.var().item() == pytest.approx(0.04, rel=0.15)


def test_orthogonal_rows_or_columns() -> None:
    for linear in drawn("orthogonal", gain=2.0).linears:
        singular = torch.linalg.svdvals(linear.weight.detach().double())
        assert torch.allclose(singular, torch.full_like(singular, 2.0), atol=1e-5)


def test_lsuv_gives_unit_variance_in_every_layer() -> None:
    network = drawn("lsuv", activation=nn.Tanh)
    x = X
    for block, linear in zip(network.blocks, network.linears, strict=True):
        assert abs(linear(x).var(correction=0).item() - 1) < 0.1
        x = block(x)


@pytest.mark.parametrize(
    ("activation", "gain"),
    [
        (nn.Identity(), 1.0),
        (nn.Sigmoid(), 1.0),
        (nn.Tanh(), 5 / 3),
        (nn.ReLU(), sqrt(2)),
        (nn.LeakyReLU(0.2), sqrt(2 / 1.04)),
        (nn.SELU(), 0.75),
    ],
)
def test_gain_is_pytorchs_where_it_has_one(activation: nn.Module, gain: float) -> None:
    assert init.resolve_gain("auto", activation) == pytest.approx(gain)


@pytest.mark.parametrize(
    ("activation", "phi"),
    [
        (nn.GELU(), lambda z: z * special.ndtr(z)),
        (nn.SiLU(), lambda z: z * special.expit(z)),
        (nn.Softplus(), lambda z: special.log1p(exp(z))),
        (nn.PReLU(), lambda z: z if z > 0 else 0.25 * z),
    ],
)
def test_gain_is_computed_where_pytorch_has_none(activation: nn.Module, phi) -> None:
    def weighted(z: float) -> float:
        return phi(z) ** 2 * exp(-z * z / 2) / sqrt(2 * pi)

    second_moment = integrate.quad(weighted, -10, 0)[0] + integrate.quad(weighted, 0, 10)[0]
    assert init.resolve_gain("auto", activation) == pytest.approx(1 / sqrt(second_moment), rel=1e-6)


def test_gain_as_a_number_is_that_number() -> None:
    assert init.resolve_gain(1.25, nn.ReLU()) == 1.25


@pytest.mark.parametrize("shape", [(784, 512), (3, 70), (256, 10), (100, 100), (1, 5)], ids=str)
@pytest.mark.parametrize("gain", [1.0, 5 / 3, 2**0.5, 0.3])
def test_the_same_bits_as_torchs_own_initialisers(shape: tuple[int, int], gain: float) -> None:
    """For the schemes that torch.nn.init has too."""
    fan_in, fan_out = shape
    torchs = {
        "xavier_normal": lambda w: nn.init.xavier_normal_(w, gain),
        "xavier_uniform": lambda w: nn.init.xavier_uniform_(w, gain),
        "he_normal": lambda w: nn.init.normal_(w, std=gain / sqrt(fan_in)),
    }
    for name, expected in torchs.items():
        torch.manual_seed(0)
        network = MLP(fan_in, [], fan_out)
        torch.manual_seed(1)
        getattr(init, name)(network, torch.zeros(2, fan_in), gain=gain)
        torch.manual_seed(1)
        assert torch.equal(network.linears[0].weight, expected(torch.empty(fan_out, fan_in))), name
