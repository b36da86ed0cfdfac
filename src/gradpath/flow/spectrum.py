"""Measurements that need a pass or a decomposition of their own: correlations, ranks, the Jacobian's singular values."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from gradpath.flow.record import Matrix


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Keeps `model` in training mode for a block, then restores buffers (BatchNorm's averages), generators and mode."""
    was_training = {module: module.training for module in model.modules()}
    buffers = [buffer.clone() for buffer in model.buffers()]
    devices = sorted({parameter.device.index or 0 for parameter in model.parameters() if parameter.is_cuda})
    model.train()
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        for module, training in was_training.items():
            module.training = training
        with torch.no_grad():
            for buffer, value in zip(model.buffers(), buffers, strict=True):
                buffer.copy_(value)


def cosine(h: Tensor) -> float:
    """The cosine between the pre-activations of a batch's first two samples, in float64; `h` is (batch, ...)."""
    first, second = h[0].detach().double().flatten(), h[1].detach().double().flatten()
    return float(first @ second / (first.norm() * second.norm()))


@torch.no_grad()
def cosines(model: nn.Module, layers: Sequence[nn.Module], inputs: Tensor) -> list[float]:
    """The cosine between the first two inputs at every layer, (L,): c of Poole et al. 2016, with sigma_b and mean included.

    NaN for a layer that is not called.

    Args:
        inputs: (batch, ...) with at least two samples; BatchNorm normalises over all of them.
    """
    found: dict[nn.Module, float] = {}

    def keep(module: nn.Module, inputs: object, outputs: object) -> None:
        # Attention and recurrent layers return more than their output.
        first = outputs[0] if isinstance(outputs, tuple) and not isinstance(outputs, PackedSequence) else outputs
        if isinstance(first, Tensor):
            found[module] = cosine(first)

    hooks = [module.register_forward_hook(keep) for module in layers]
    parameter = next(model.parameters())
    try:
        with undisturbed(model):
            # Token ids must stay integers.
            model(inputs.to(parameter) if inputs.is_floating_point() else inputs.to(parameter.device))
    finally:
        for hook in hooks:
            hook.remove()
    return [found.get(layer, float("nan")) for layer in layers]


@torch.no_grad()
def ranks(weights: Sequence[Tensor | None]) -> list[float]:
    """The numerical rank of each matrix, (L,), with numpy's tolerance sigma_max * max(shape) * eps.

    A kernel is the matrix of its outputs, (channels, inputs times taps). NaN for None and for a matrix with NaN or Inf, for
    which LAPACK prints complaints.

    Half precision has no singular values in torch: they are computed in float32, with the tolerance of the weights' own eps.
    """
    found = []
    for w in weights:
        if w is None or not w.isfinite().all():
            found.append(float("nan"))
            continue
        matrix = (w.float() if w.dtype in (torch.float16, torch.bfloat16) else w).flatten(1)
        found.append(float(torch.linalg.matrix_rank(matrix, rtol=max(matrix.shape) * torch.finfo(w.dtype).eps)))
    return found


def jacobian_singular_values(model: nn.Module, inputs: Tensor, samples: int = 4) -> Matrix:
    """Singular values of d output_i / d input_i at each of the first `samples` inputs: (samples, min(out, in)), descending.

    The model runs in training mode on the whole batch, so that BatchNorm does what it does in training (Pennington et al.
    2017, eq. 1, from the input to the output layer).
    """
    parameter = next(model.parameters())
    with undisturbed(model), torch.enable_grad():
        x = inputs.to(parameter).detach().requires_grad_()
        y = model(x).flatten(1)
        rows = [
            [torch.autograd.grad(y[i, k], x, retain_graph=True)[0][i].flatten() for k in range(y.shape[1])]
            for i in range(min(samples, len(x)))
        ]
    return np.array([torch.linalg.svdvals(torch.stack(row).double()).cpu().numpy() for row in rows])
