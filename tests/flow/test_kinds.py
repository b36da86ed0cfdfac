"""What is a layer, and its numbers, against counting in the layer's own output and gradients."""

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune, spectral_norm, weight_norm
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from gradpath.flow.computed import computed
from gradpath.flow.kinds import Layer, coverage, layer_of, layers, outputs_of

CONVOLUTIONS = [nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d]


def of(module: nn.Module) -> Layer:
    layer = layer_of("it", module)
    assert layer is not None
    return layer


def ones(module: nn.Module) -> nn.Module:
    """With weights of one and biases of zero a linear layer counts: its output is the number of terms in each sum."""
    for name, parameter in module.named_parameters():
        nn.init.constant_(parameter, 0.0 if "bias" in name else 1.0)
    return module


def middle(values: Tensor, dims: int, period: list[int], margin: int = 8) -> float:
    """The mean over places away from the borders, over whole periods of the stride."""
    for dim in range(values.ndim - dims, values.ndim):
        step = period[dim - (values.ndim - dims)]
        length = (values.shape[dim] - 2 * margin) // step * step
        assert length > 0
        values = values.narrow(dim, margin, length)
    return values.mean().item()


@pytest.mark.parametrize("kind", CONVOLUTIONS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("seed", range(4))
def test_a_convolution_counts_its_kernel_groups_and_strides(kind: Any, seed: int) -> None:
    rng = random.Random(f"{kind.__name__} {seed}")
    dims, groups = int(kind.__name__[-2]), rng.choice([1, 2, 3])
    inputs, outputs = groups * rng.randint(1, 3), groups * rng.randint(1, 3)
    kernel, stride, dilation = ([rng.randint(1, most) for _ in range(dims)] for most in (3, 3, 2))
    module = ones(kind(inputs, outputs, kernel, stride, groups=groups, dilation=dilation, dtype=torch.float64))
    transposed = "Transpose" in kind.__name__
    size = 20 if transposed else 60 if dims < 3 else 42
    x = torch.ones(1, inputs, *[size] * dims, dtype=torch.float64, requires_grad=True)
    out = module(x)
    out.sum().backward()
    sizes = of(module).sizes
    assert middle(out.detach(), dims, stride if transposed else [1] * dims, 6) == pytest.approx(sizes.fan_in)
    assert middle(x.grad, dims, [1] * dims if transposed else stride, 6) == pytest.approx(sizes.fan_out)
    assert sizes.units == out.shape[sizes.unit_dim] == module(x[0]).shape[sizes.unit_dim] == outputs


@pytest.mark.parametrize("seed", range(5))
def test_linear_bilinear_and_embedding_layers(seed: int) -> None:
    rng = random.Random(seed)
    one, two, units = (rng.randint(1, 9) for _ in range(3))
    x, y = torch.ones(3, one, requires_grad=True), torch.ones(3, two)
    for module, given in ((nn.Linear(one, units), (x,)), (nn.Bilinear(one, two, units), (x, y))):
        out = ones(module)(*given)
        sizes = of(module).sizes
        assert (sizes.fan_in, sizes.units) == (out[0, 0].item(), out.shape[sizes.unit_dim])
        (grad,) = torch.autograd.grad(out.sum(), x)
        # In a bilinear layer each entry of one input is multiplied by every entry of the other.
        assert grad[0, 0].item() == sizes.fan_out * (two if isinstance(module, nn.Bilinear) else 1)
    for module in (nn.Embedding(7, units), nn.EmbeddingBag(7, units)):
        out = module(torch.tensor([[1]]))
        sizes = of(module).sizes
        (grad,) = torch.autograd.grad(out.flatten()[0], module.weight)
        assert (sizes.fan_in, sizes.units) == (int((grad != 0).sum()), out.shape[sizes.unit_dim])
        assert sizes.fan_out == len(out.flatten())


@pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU], ids=lambda kind: kind.__name__)
def test_recurrent_layers(kind: Any, seed: int) -> None:
    rng = random.Random(f"{kind.__name__} {seed}")
    inputs, hidden, stack, both, first = (
        rng.randint(1, 5),
        rng.randint(2, 5),
        rng.randint(1, 2),
        seed % 2,
        rng.random() < 0.5,
    )
    options = {"proj_size": hidden - 1} if kind is nn.LSTM and seed > 3 else {}
    module = kind(inputs, hidden, stack, bidirectional=bool(both), batch_first=first, **options)
    layer = of(module)
    x = torch.randn(*((2, 4) if first else (4, 2)), inputs)
    out, _ = module(x)
    found = outputs_of(module(x))[0]
    assert found.shape == out.shape
    assert out.shape[layer.sizes.unit_dim] == layer.sizes.units == layer.sizes.fan_out
    last = f"l{stack - 1}"
    if options:
        terms = getattr(module, f"weight_hr_{last}").shape[1]
    else:
        terms = getattr(module, f"weight_ih_{last}").shape[1] + getattr(module, f"weight_hh_{last}").shape[1]
    assert layer.sizes.fan_in == terms
    assert {p for several in layer.weights.values() for p in several} == {p for p in module.parameters() if p.ndim > 1}
    assert {p for several in layer.biases.values() for p in several} == {p for p in module.parameters() if p.ndim == 1}
    packed = module(pack_padded_sequence(x.transpose(0, 1) if first else x, [4, 3], batch_first=False))
    assert isinstance(packed[0], PackedSequence)
    assert outputs_of(packed)[0].shape == (7, layer.sizes.units)


@pytest.mark.parametrize("kind", [nn.RNNCell, nn.LSTMCell, nn.GRUCell], ids=lambda kind: kind.__name__)
def test_cells(kind: Any) -> None:
    torch.manual_seed(0)
    module = kind(3, 5).double()
    x, h = torch.randn(2, 3).double().requires_grad_(), torch.randn(2, 5).double().requires_grad_()
    out = outputs_of(module(x, (h, torch.zeros_like(h)) if kind is nn.LSTMCell else h))[0]
    grads = torch.autograd.grad(out[0, 0], (x, h))
    sizes = of(module).sizes
    assert (sizes.units, sizes.fan_in) == (out.shape[-1], sum(int((g != 0).sum()) for g in grads))


@pytest.mark.parametrize("options", [{}, {"kdim": 3, "vdim": 2}, {"add_bias_kv": True}, {"bias": False}], ids=str)
def test_attention_is_one_layer(options: dict[str, Any]) -> None:
    module = nn.MultiheadAttention(8, 2, batch_first=True, **options)
    (layer,) = layers(nn.ModuleDict({"attention": module}))
    x = torch.randn(2, 3, 8)
    outputs = module(x, x[..., : options.get("kdim", 8)], x[..., : options.get("vdim", 8)])
    assert outputs_of(outputs)[0] is outputs[0]
    assert outputs[0].shape[layer.sizes.unit_dim] == layer.sizes.units == layer.sizes.fan_in
    assert set(layer.parameters) == set(module.parameters())
    assert "out_proj.weight" in layer.weights
    assert all(p.ndim == 1 or name.startswith("bias_") for name, (p,) in layer.biases.items())
    assert coverage(module, [layer]).share == 1


class Own(nn.Module):
    """A user's layer, as GPT-2's `Conv1D`."""

    def __init__(self) -> None:
        super().__init__()
        self.w, self.b, self.gain = (nn.Parameter(torch.randn(*shape)) for shape in ((3, 4), (4,), (4,)))

    def forward(self, x: Tensor) -> dict[str, Tensor | None]:
        return {"mask": None, "out": self.gain * (x @ self.w) + self.b}


class Around(nn.Module):
    """Has parameters of its own and children, so it is no layer."""

    def __init__(self) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.zeros(5, 3))
        self.own, self.own_again = Own(), nn.Sequential(nn.Linear(4, 4), nn.LayerNorm((2, 4)), nn.BatchNorm1d(4), nn.PReLU())
        self.list = nn.ParameterList([torch.ones(2, 2)])


def test_which_modules_are_layers() -> None:
    model = Around()
    model.twice = model.own
    found = layers(model)
    assert [(layer.name, layer.kind) for layer in found] == [("own", "other"), ("own_again.0", "linear")]
    assert list(found[0].weights) == ["w"]
    assert outputs_of(model.own(torch.ones(2, 3)))[0].shape == (2, 4)
    assert [layer.name for layer in layers(nn.Linear(2, 2))] == [""]
    h, c = torch.ones(2, requires_grad=True), torch.zeros(2, requires_grad=True)
    assert outputs_of((None, torch.ones(2), {"state": [h, 3]}, c)) == [h, c]
    assert outputs_of(torch.ones(2)) == outputs_of((None, 3, "x")) == outputs_of(None) == []


class Half(nn.Module):
    def forward(self, w: Tensor) -> Tensor:
        return w / 2 if self.training else w / 4


class Noise(nn.Module):
    """A parametrisation with a state and chance, and a weight of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.own = nn.Parameter(torch.eye(5))
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, w: Tensor) -> Tensor:
        self.calls += 1
        return self.own @ w + 0 * torch.rand(())


def _parametrized(with_what: Callable[[], nn.Module]) -> Callable[[nn.Module], nn.Module]:
    def change(module: nn.Module) -> nn.Module:
        return parametrize.register_parametrization(module, "weight", with_what()) or module

    return change


COMPUTED = {
    "plain": lambda m: m,
    "spectral norm": parametrizations.spectral_norm,
    "weight norm": parametrizations.weight_norm,
    "orthogonal": parametrizations.orthogonal,
    "other while it trains": _parametrized(Half),
    "with a state": _parametrized(Noise),
    "old spectral norm": spectral_norm,
    "old weight norm": weight_norm,
    "pruned": lambda m: prune.l1_unstructured(m, "weight", 0.4),
    "twice": lambda m: _parametrized(Noise)(parametrizations.weight_norm(m)),
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
@pytest.mark.parametrize("name", COMPUTED)
def test_the_weight_as_computed(name: str) -> None:
    torch.manual_seed(0)
    module = COMPUTED[name](nn.Linear(4, 5))
    model = nn.Sequential(module)
    out = model(x := torch.randn(3, 4))
    layer, *others = layers(model)
    assert others == []
    assert (layer.name, layer.kind) == ("0", "linear")
    assert list(layer.weights) == ["weight"]
    assert set(layer.parameters) == set(module.parameters())
    assert coverage(model, [layer]).share == 1
    state, chance = {k: v.clone() for k, v in model.state_dict().items()}, torch.get_rng_state()
    weight = computed(layer)["weight"]
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), chance)
    assert all(part.training for part in model.modules())
    # The training goes on: nothing that autograd has kept was written to.
    out.square().sum().backward()
    assert not weight.requires_grad
    with torch.no_grad():
        # The older ones: as in the last call.
        out = out if "old" in name else module(x)
        assert torch.allclose(F.linear(x, weight, module.bias), out, atol=1e-6)
        model.eval()
        module(x)
        assert torch.allclose(F.linear(x, computed(layer)["weight"], module.bias), module(x), atol=1e-6)


def test_a_parametrised_user_layer_is_a_layer() -> None:
    own = Own()
    parametrize.register_parametrization(own, "w", Half())
    (layer,) = layers(nn.Sequential(own))
    assert layer.weights == {"w": (own.parametrizations.w.original,)}


def test_frozen_lazy_and_tied_weights() -> None:
    lazy = nn.LazyLinear(3)
    model = nn.Sequential(nn.Embedding(6, 4), nn.Linear(4, 4), lazy, nn.Linear(3, 4), nn.Linear(4, 6, bias=False))
    model[4].weight = model[0].weight
    model[1].requires_grad_(False)
    found = layers(model)
    assert [layer.name for layer in found] == ["0", "1", "3", "4"]
    assert [layer.trains for layer in found] == [True, False, True, True]
    assert coverage(model, found).missing == ("2.weight",)
    # The embedding's 24 entries are the head's as well.
    assert coverage(model, found[2:3]).share == 12 / (24 + 12)
    assert coverage(model, found[3:]).share == 24 / (24 + 12)
    model(torch.tensor([1, 2]))
    assert [layer.name for layer in layers(model)] == ["0", "1", "2", "3", "4"]
    model[1].bias.requires_grad_(True)
    assert found[1].trains
    model.requires_grad_(False)
    assert (coverage(model, found).share, coverage(model, found).missing) == (None, ())


def test_coverage_names_what_no_layer_measures() -> None:
    model = Around()
    covered = coverage(model, layers(model))
    # Biases and what a normalisation has do not count.
    assert covered.missing == ("position", "list.0")
    assert covered.share == (12 + 16) / (12 + 16 + 15 + 4)
    conv = nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.BatchNorm2d(4))
    assert coverage(conv, layers(conv)).share == 1


def test_the_units_lie_where_it_says() -> None:
    """A change of one bias changes one index along that dimension, and no other."""
    for module, x in (
        (nn.Linear(3, 4), torch.randn(2, 5, 3)),
        (nn.Conv2d(3, 4, 2), torch.randn(2, 3, 5, 6)),
        (nn.ConvTranspose1d(3, 4, 2), torch.randn(3, 7)),
    ):
        before = module(x)
        with torch.no_grad():
            module.bias[2] += 1
        moved = (module(x) - before).abs().movedim(of(module).sizes.unit_dim, 0).flatten(1).amax(1)
        assert moved.tolist() == pytest.approx(F.one_hot(torch.tensor(2), 4).tolist(), abs=1e-5)
