"""Every kind of layer in the probe: its gradients, weights, updates and activations, against autograd in float64."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from gradpath.verdict.probing import probe


class First(nn.Module):
    """The output of a layer that returns more than that."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x, x, x)[0] if isinstance(self.layer, nn.MultiheadAttention) else self.layer(x)[0]


class Pair(nn.Bilinear):
    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x, x)


class Scaled(nn.Module):
    """A user's own leaf module."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix, self.shift = nn.Parameter(torch.randn(6, 6)), nn.Parameter(torch.randn(6))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.matrix + self.shift


VECTORS, SEQUENCES, TOKENS = (5, 6), (5, 7, 6), (5, 7)
LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(6, 4), VECTORS),
    "bilinear": (lambda: Pair(6, 6, 4), VECTORS),
    "convolution in one dimension": (lambda: nn.Conv1d(6, 4, 3, padding=1), (5, 6, 9)),
    "convolution in groups": (lambda: nn.Conv2d(6, 4, 3, groups=2, bias=False), (5, 6, 7, 7)),
    "convolution in three dimensions": (lambda: nn.Conv3d(2, 3, 2), (5, 2, 4, 4, 4)),
    "transposed convolution": (lambda: nn.ConvTranspose2d(3, 2, 3, stride=2), (5, 3, 4, 4)),
    "embedding": (lambda: nn.Embedding(11, 6), TOKENS),
    "sparse embedding": (lambda: nn.Embedding(11, 6, sparse=True), TOKENS),
    "bag of embeddings": (lambda: nn.EmbeddingBag(11, 6), TOKENS),
    "attention": (lambda: First(nn.MultiheadAttention(6, 2, batch_first=True)), SEQUENCES),
    "recurrent": (lambda: First(nn.RNN(6, 4, batch_first=True)), SEQUENCES),
    "LSTM of two layers and directions": (lambda: First(nn.LSTM(6, 4, 2, batch_first=True, bidirectional=True)), SEQUENCES),
    "GRU": (lambda: First(nn.GRU(6, 4, batch_first=True)), SEQUENCES),
    "cell": (lambda: nn.GRUCell(6, 4), VECTORS),
    "a module of one's own": (Scaled, SEQUENCES),
}


def drawn(shape: tuple[int, ...]) -> Tensor:
    torch.manual_seed(1)
    return torch.randint(11, shape) if shape == TOKENS else torch.randn(*shape, dtype=torch.float64)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_of_every_kind(name: str) -> None:
    torch.manual_seed(0)
    make, shape = LAYERS[name]
    layer = make().double()
    head = nn.LazyLinear(3).double()
    model = nn.Sequential(layer, nn.Tanh(), nn.Flatten(), head)
    x = drawn(shape)
    model(x)
    h = layer(x)
    loss = head(torch.tanh(h).flatten(1)).square().sum(1)
    (grad,) = torch.autograd.grad(loss.sum(), h)
    expected_delta = grad.flatten(1).square().sum(1).mean().sqrt().item()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    weights = [p for n, p in layer.named_parameters() if p.ndim > 1]
    before = [weight.detach().clone() for weight in weights]
    with probe(model) as p:
        model(x).square().sum(1).mean().backward()
        optimizer.step()
    row = {quantity: values[0] for quantity, values in p.record.row(0).items()}

    def norm(tensors: list[Tensor]) -> float:
        return float(sum(tensor.detach().to_dense().square().sum().item() for tensor in tensors) ** 0.5)

    grads = [weight.grad for weight in weights if weight.grad is not None]
    assert row["delta"] == pytest.approx(expected_delta, rel=1e-9)
    assert row["delta_rms"] == pytest.approx(expected_delta * (len(x) / grad.numel()) ** 0.5, rel=1e-9)
    assert row["weight_grad_norm"] == pytest.approx(norm(grads), rel=1e-9)
    assert row["weight_norm"] == pytest.approx(norm(before), rel=1e-9)
    moved = norm([weight - old for weight, old in zip(weights, before, strict=True)])
    assert row["update_ratio"] == pytest.approx(moved / norm(before), rel=1e-9)
    # Only by its name can a vector be told to be a bias.
    biases = (
        []
        if isinstance(layer, Scaled)
        else [p.grad for n, p in layer.named_parameters() if p.ndim == 1 and p.grad is not None]
    )
    if biases:
        assert row["bias_grad_norm"] == pytest.approx(norm(biases), rel=1e-9)
    if not isinstance(layer, Scaled):
        assert row["activation_mean"] == pytest.approx(torch.tanh(h).mean().item(), rel=1e-9)
        assert row["activation_variance"] == pytest.approx(torch.tanh(h).var(correction=0).item(), rel=1e-9)
    assert p.verdict()["coverage"] == {"share": 1.0, "missing": []}


def test_dead_channels_of_a_convolution() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 8, 3)
    with torch.no_grad():
        layer.bias[:2] = -100
    model = nn.Sequential(layer, nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16, 2))
    with probe(model) as p:
        model(torch.randn(4, 3, 6, 6)).square().mean().backward()
        torch.optim.SGD(model.parameters(), lr=0.1).step()
    assert p.record.row(0)["dead"][0] == 2 / 8


@pytest.mark.parametrize("kind", [parametrizations.spectral_norm, parametrizations.weight_norm, parametrizations.orthogonal])
def test_weights_that_are_computed(kind: Callable[..., nn.Module]) -> None:
    """Their norm and their change are those of the weights as computed; reading them changes nothing."""
    found: list[Any] = []
    for on in (False, True):
        torch.manual_seed(0)
        model = nn.Sequential(kind(nn.Linear(4, 6)), nn.Tanh(), nn.Linear(6, 2)).double()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        x = torch.randn(5, 4, dtype=torch.float64)

        def train(model: nn.Module = model, optimizer: torch.optim.Optimizer = optimizer, x: Tensor = x) -> None:
            for _ in range(3):
                optimizer.zero_grad()
                model(x).square().mean().backward()
                optimizer.step()

        if on:
            with probe(model) as p:
                train()
        else:
            train()
        found.append(model.state_dict())
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
    assert p.record.row(1)["update_ratio"][0] > 0
    if kind is parametrizations.spectral_norm:
        assert p.record.row(0)["weight_norm"][0] < 6**0.5
    if kind is parametrizations.orthogonal:
        assert p.record.matrix("weight_norm")[:, 0] == pytest.approx(2, rel=1e-6)


OLD = {
    "spectral norm": nn.utils.spectral_norm,
    "weight norm": nn.utils.weight_norm,
    "pruned": lambda module: nn.utils.prune.l1_unstructured(module, "weight", 0.3),
}
NEW = {
    "parametrised spectral norm": parametrizations.spectral_norm,
    "parametrised weight norm": parametrizations.weight_norm,
    "orthogonal": parametrizations.orthogonal,
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
@pytest.mark.parametrize("name", [*OLD, *NEW])
def test_the_gradient_at_a_computed_weight_is_that_of_a_plain_one(name: str) -> None:
    """A loop of two batches a step, the first of which uses the layer twice."""
    torch.manual_seed(0)
    layer, head = (OLD | NEW)[name](nn.Linear(4, 4)).double(), nn.Linear(4, 2).double()
    model = nn.ModuleList([layer, head])
    used: list[Tensor] = []
    if name in NEW:
        layer.parametrizations.weight.register_forward_hook(lambda module, inputs, weight: used.append(weight.detach()))
    batches = [(torch.randn(5, 4).double(), 2), (torch.randn(5, 4).double(), 1)]
    losses = []
    with probe(model) as p:
        for x, times in batches:
            for _ in range(times):
                x = layer(x).tanh()
                if name in OLD:
                    used.append(layer.weight.detach())
            losses.append(head(x).square().mean() / 2)
            losses[-1].backward()
        torch.optim.SGD(model.parameters(), lr=0.1).step()
    # The same losses, of weights that are parameters, one for each use.
    plain = iter([weight.clone().requires_grad_() for weight in used])
    weights = []
    bias, of_head = layer.bias.detach() + 0.1 * layer.bias.grad, head.weight.detach() + 0.1 * head.weight.grad
    bias_of_head = head.bias.detach() + 0.1 * head.bias.grad
    for (x, times), expected in zip(batches, losses, strict=True):
        for _ in range(times):
            weights.append(next(plain))
            x = (x @ weights[-1].T + bias).tanh()
        loss = (x @ of_head.T + bias_of_head).square().mean() / 2
        assert loss.item() == pytest.approx(expected.item(), rel=1e-9)
        loss.backward()
    total = sum(weight.grad for weight in weights)
    assert p.record.row(0)["weight_grad_norm"][0] == pytest.approx(total.norm().item(), rel=1e-9)


class Ends(nn.Module):
    """A recurrent encoder, of which the head sees the last state: as the last of all states, or as it is returned."""

    def __init__(self, kind: type[nn.RNNBase], last: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.rnn, self.head = nn.Linear(3, 8), kind(8, 8, batch_first=True), nn.Linear(8, 2)
        self.last = last

    def forward(self, x: Tensor) -> Tensor:
        states, end = self.rnn(self.first(x))
        end = end[0] if isinstance(end, tuple) else end
        return self.head(end[-1] if self.last else states[:, -1])


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_whichever_output_is_used_the_layer_is_seen(kind: type[nn.RNNBase]) -> None:
    found = []
    for last in (False, True):
        model = Ends(kind, last)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        torch.manual_seed(1)
        x, y = torch.randn(16, 6, 3), torch.randint(2, (16,))
        with probe(model) as p:
            for _ in range(3):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x), y).backward()
                optimizer.step()
        verdict = p.verdict()
        assert (verdict["findings"], verdict["coverage"]["share"], verdict["way"]) == ([], 1.0, ["first", "rnn"])
        found.append((p.record.matrix("delta"), verdict["class"], verdict["ratio"]))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    assert found[0][1:] == (found[1][1], pytest.approx(found[1][2], rel=1e-5))


def test_complex_layers_have_the_norm_of_both_parts() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8, dtype=torch.cdouble), nn.Linear(8, 2, dtype=torch.cdouble))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    norms = [layer.weight.norm().item() for layer in model]
    with probe(model) as p:
        model(torch.randn(6, 4, dtype=torch.cdouble)).abs().square().mean().backward()
        grads = [layer.weight.grad.norm().item() for layer in model]
        optimizer.step()
    row = p.record.row(0)
    assert row["weight_norm"] == pytest.approx(norms, rel=1e-9)
    assert row["weight_grad_norm"] == pytest.approx(grads, rel=1e-9)
    assert row["update_ratio"] == pytest.approx([0.1 * g / w for g, w in zip(grads, norms, strict=True)], rel=1e-9)


def test_places_that_the_user_names() -> None:
    torch.manual_seed(0)
    model = nn.ModuleDict({"stem": nn.Linear(4, 6), "blocks": nn.ModuleList(nn.Sequential(nn.Linear(6, 6), nn.Tanh())
                           for _ in range(3)), "head": nn.Linear(6, 2)}).double()  # fmt: skip
    x = torch.randn(5, 4, dtype=torch.float64)
    places = [torch.tanh(model["stem"](x))]
    for block in model["blocks"]:
        places.append(places[-1] + block(places[-1]))
    branches = [block(place) for block, place in zip(model["blocks"], places, strict=False)]
    grads = torch.autograd.grad(model["head"](places[-1]).square().sum(1).mean(), places[1:])

    def forward() -> Tensor:
        h = torch.tanh(model["stem"](x))
        for block in model["blocks"]:
            h = h + block(h)
        return model["head"](h).square().sum(1).mean()

    assert len(branches) == 3
    with probe(model, at="blocks.*") as p:
        forward().backward()
        p.step()
    found = p.verdict()
    assert found["way"] == ["blocks.0", "blocks.1", "blocks.2"]
    # At a branch's end the gradient is that of the stream behind it.
    assert found["ratio"] == pytest.approx(grads[0].norm().item() / grads[2].norm().item(), rel=1e-9)
    assert p.record.layers[-3:] == found["way"]
    with pytest.raises(ValueError, match=r"at=block\.\*: no module has such a name"):
        probe(model, at="block.*").__enter__()


def test_places_where_branches_join_have_columns() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(6, 6), nn.Linear(6, 6)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.two(torch.relu(self.one(x)))

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), Block(), Block(), nn.Linear(6, 2)).double()
    x = torch.randn(5, 4, dtype=torch.float64)
    streams = [model[0](x)]
    for part in model[1:]:
        streams.append(part(streams[-1]))
    grads = torch.autograd.grad(streams[-1].square().sum(), streams)
    expected = [grad.square().sum(1).mean().sqrt().item() for grad in grads]
    with probe(model) as p:
        model(x).square().sum(1).mean().backward()
        torch.optim.SGD(model.parameters(), lr=0.1).step()
    assert p.record.layers == ["0", "1.one", "1.two", "1.two +", "2.one", "2.two", "2.two +", "3"]
    delta = dict(zip(p.record.layers, p.record.row(0)["delta"], strict=True))
    assert [delta[name] for name in ("0", "1.two +", "2.two +", "3")] == pytest.approx(expected, rel=1e-9)
    assert np.isnan(p.record.row(0)["weight_norm"][3])
    assert p.verdict()["way"] == ["0", "1.two +", "2.two +"]
