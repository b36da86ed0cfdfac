"""The command that prints backpropagation by hand."""

import pytest

pytestmark = pytest.mark.forked


def test_two_two_one_at_the_chapters_point(command) -> None:
    """By hand: z1 = .5, a1 = .5, z = .3, dL/dz = -.7, dL/dw11 = -.7 * .6."""
    done = command("scripts/by_hand.py", "x=[1,0]", "y=1", "weights=[0.5,-0.2,-0.3,0.8,0.6,-0.7]")
    assert done.returncode == 0, done.stderr
    assert "dL/dw11 = dL/dz1*x1 = (-0.42)*1\n    = -0.42 " in done.stdout
    assert "dL/dz * dz/da1 * da1/dz1 * dz1/dw11 = (z - y)*v1*da1/dz1*x1" in done.stdout
    assert "da1/dz1 = relu'(z1) = relu'(0.5)\n    = 1 " in done.stdout
    assert "each computed once; largest difference 0\n" in done.stdout


def test_random_weights_follow_the_seed(command) -> None:
    outputs = [command("scripts/by_hand.py", "chain", "activation=tanh", f"seed={seed}").stdout for seed in (1, 2)]
    assert outputs[0] != outputs[1]
    assert "tanh'(h) = 1 - tanh(h)^2" in outputs[0]


def test_numbers_as_they_are_written(command) -> None:
    done = command("scripts/by_hand.py", "chain", "x=1e-3", "y=-2.5E1", "weights=[1e0,2]")
    assert done.returncode == 0, done.stderr
    assert "x=0.001  y=-25  w1=1  b1=0  w2=2  b2=0" in done.stdout


def test_any_network(command) -> None:
    done = command(
        "scripts/by_hand.py", "mlp", "data=xor_noisy", "model.hidden=[4,3]", "activation=gelu", "norm=batch_before"
    )
    assert done.returncode == 0, done.stderr
    assert "dL/dn2 (8x3)" in done.stdout
    assert "= (g - mean(g) - u2 mean(g u2)) / s2, g = gamma dL/dn2" in done.stdout
    # Every symbol of the formula is defined.
    assert "= gamma u2 + beta, u2 = (h2 - mean) / s2, s2 = sqrt(var + eps), over the batch" in " ".join(done.stdout.split())
    assert "= sum over samples of dL/dn2 * u2\n" in done.stdout
    assert "= -mean [y ln p + (1 - y) ln(1 - p)], p = 1 / (1 + e^-z), z = h3" in done.stdout
    assert "gelu'(h) = Phi(h) + h e^(-h^2 / 2) / sqrt(2 pi)" in done.stdout
    assert done.stdout.count("gelu(h)") == 1
    # BatchNorm couples the 8 samples. Units: 2 inputs, 4 each in h1, n1 and a1, 3 each in h2, n2 and a2, 1 output.
    above = [4 * 8 * 3 * 8, 8 * 3 * 8, 3 * 8, 3 * 8, 8, 1, 1, 1]
    counted = sum(8 * units * paths for units, paths in zip([2, 4, 4, 4, 3, 3, 3, 1], above, strict=True))
    assert f"would walk {counted:,} paths" in done.stdout
    assert "computed 192 numbers on its way to the inputs, each once;" in done.stdout


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("x=1", "x=1: must be a list of 2 numbers."),
        ("chainn", "chainn: must be chain, two_layer or mlp. Did you mean chain?"),
        ("weights=[1,2]", "weights=[1,2]: must be a list of 9 or 6 numbers."),
        ("y=abc", "y=abc: must be a number."),
        ("loss=bce y=2", "y=2: with loss=bce it is a class, 0 or 1."),
        ("wieghts=[1]", "wieghts=[1]: two_layer has no such key. Did you mean weights?"),
        ("activation=reluu", "activation=reluu: no such option. Did you mean relu?"),
        ("seed=-1", "seed=-1: must be a whole number, at least 0."),
        ("mlp norm=batchbefore", "norm=batchbefore: no such option. Did you mean batch_before?"),
    ],
)
def test_wrong_input(command, typed: str, message: str) -> None:
    done = command("scripts/by_hand.py", *typed.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {message}")
    assert done.stderr.count("\n") == 1
