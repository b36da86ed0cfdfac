"""Claims that are exact up to rounding: identities of backpropagation."""

import torch
from torch import Tensor

from gradpath.data.batch import Batch
from gradpath.flow.profile import measure
from gradpath.model.network import MLP
from gradpath.model.objective import Objective
from gradpath.studies.papers.claim import Check, Claim, same
from gradpath.studies.papers.networks import built

SMALL = ("data=gaussian", "data.features=20", "model=deep", "model.depth=6", "model.width=50")


def balance(seeds: int = 5) -> Claim:
    """<W^l, dW^l> is the same number at every layer of a homogeneous bias-free network (Du et al. 2018, theorem 2.1)."""
    checks = []
    for activation in ("relu", "leaky_relu", "identity"):
        largest = 0.0
        for seed in range(seeds):
            data, network, objective, _ = built(seed, *SMALL, f"activation={activation}", "init=he_normal")
            batch = data.sample(64)
            objective.loss(network(batch.inputs), batch.targets).backward()  # type: ignore[no-untyped-call]
            found = torch.stack([(m.weight.double() * _grad(m.weight)).sum() for m in network.linears]).detach()
            largest = max(largest, ((found - found.mean()).abs().max() / found.mean().abs()).item())
        checks.append(Check(f"{activation}: spread of <W, dW>", 0.0, largest, 1e-5))
    return Claim(7, "Du 2018", "<W^l, dW^l> is the same at every layer of a homogeneous network", checks)


def linear_collapse(seeds: int = 5) -> Claim:
    """A stack of linear layers is one linear map (Saxe et al. 2013)."""
    outputs, products = [], []
    for seed in range(seeds):
        data, network, _, _ = built(seed, *SMALL, "activation=identity", "init=orthogonal")
        inputs = data.sample(16).inputs
        product = torch.eye(20, dtype=torch.float64)
        for linear in network.linears:
            product = linear.weight.double() @ product
        outputs.append(network(inputs).double())
        products.append(inputs.double() @ product.T)
    scale = torch.stack(products).abs().max()
    checks = [same("outputs - product of W", torch.stack(products) / scale, torch.stack(outputs) / scale, 1e-5)]
    return Claim(19, "Saxe 2013", "a stack of linear layers equals the product of its matrices", checks)


def by_hand(seeds: int = 20) -> Claim:
    """Backpropagation written out gives autograd's gradients (Rumelhart et al. 1986)."""
    checks = [_w11(seeds), *_sigmoid_and_bce(seeds)]
    return Claim(20, "Rumelhart 1986", "delta_2 = p - y, delta_1 = W_2^T delta_2 * phi'(a), dW = delta x^T", checks)


def _w11(seeds: int) -> Check:
    """Checks dL/dw11 = 2 (z - 1) v_1 [a_1 > 0] x_1 in a ReLU 2-2-1 network at (1, 0) with target 1 and loss (z - y)^2."""
    hand, autograd = [], []
    for seed in range(seeds):
        _, network, objective, _ = built(seed, "data=xor", "model.hidden=[2]", "activation=relu", "loss=mse", "init=pytorch")
        first, last = network.double().linears
        x, y = torch.tensor([[1.0, 0.0]], dtype=torch.float64), torch.tensor([1])
        objective.loss(network(x), y).backward()  # type: ignore[no-untyped-call]
        (w11, _), (w21, _) = first.weight.tolist()
        (b1, b2), ((v1, v2),), (c,) = first.bias.tolist(), last.weight.tolist(), last.bias.tolist()
        a1, a2 = w11 + b1, w21 + b2
        z = v1 * max(a1, 0.0) + v2 * max(a2, 0.0) + c
        hand.append(2 * (z - 1) * v1 * (a1 > 0) * 1.0)
        autograd.append(_grad(first.weight)[0, 0].item())
    return same("ReLU 2-2-1: dL/dw11", _double(hand), _double(autograd), 1e-12)


def _sigmoid_and_bce(seeds: int) -> list[Check]:
    """Checks the weight gradients of a 2-3-1 sigmoid network on all four points of XOR, and the profile's |delta|."""
    largest: dict[str, Tensor] = {}
    for seed in range(seeds):
        data, network, objective, _ = built(
            seed, "data=xor", "model.hidden=[3]", "activation=sigmoid", "init=normal", "init.std=1"
        )
        network, batch = network.double(), data.sample(4)
        batch = Batch(batch.inputs.double(), batch.targets)
        objective.loss(network(batch.inputs), batch.targets).backward()  # type: ignore[no-untyped-call]
        for name, (hand, measured) in _pairs(network, objective, batch).items():
            # A NaN, of what was not measured, is no small difference.
            largest[name] = torch.maximum(largest.get(name, torch.zeros(())), (hand - measured).abs().max())
    return [Check(f"BCE: {name}", 0.0, value.item(), 1e-12) for name, value in largest.items()]


def _pairs(network: MLP, objective: Objective, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
    """Name -> the quantity by hand, and by autograd or the profile.

    delta is the gradient of each sample's own loss; dW is the gradient of the batch's mean loss.
    """
    first, last = network.linears
    x, y, samples = batch.inputs, batch.targets[:, None], len(batch.inputs)
    with torch.no_grad():
        h = 1 / (1 + torch.exp(-(x @ first.weight.T + first.bias)))
        p = 1 / (1 + torch.exp(-(h @ last.weight.T + last.bias)))
        delta_2 = p - y
        delta_1 = (delta_2 @ last.weight) * h * (1 - h)
        rows = measure(network, objective, batch)
        measured = _double([row.delta for row in rows])
        return {
            "dW_2 = delta_2 h^T": (delta_2.T @ h / samples, _grad(last.weight)),
            "dW_1 = delta_1 x^T": (delta_1.T @ x / samples, _grad(first.weight)),
            "|delta_1|": (_rms(delta_1), measured[0]),
            "|delta_2|": (_rms(delta_2), measured[1]),
        }


def _double(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _rms(delta: Tensor) -> Tensor:
    """The root mean square over the samples of |delta|; `delta` is (samples, units)."""
    return delta.square().sum(1).mean().sqrt()


def _grad(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad
