"""An assertion for the tests of one's own network: does its gradient arrive?"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from torch import Tensor, nn

from gradpath.finding_names import KINDS
from gradpath.flow.spectrum import undisturbed
from gradpath.verdict.probing import probe
from gradpath.verdict.starts_at_zero import moved_from_zero


def assert_healthy(
    model: nn.Module,
    batch: tuple[Any, Any],
    loss: Callable[[Any, Any], Tensor],
    ignore: Collection[str] = (),
    **options: Any,
) -> None:
    """Asserts that one backward pass of `loss(model(inputs), targets)` shows nothing that is wrong with the model.

    Weights, gradients, buffers and generators stay as they are. It takes as long as the pass. Where weights are exactly zero
    (adapters, zero convolutions, gates), nothing comes to what lies below them before they have moved: then the pass is one
    with those that get a gradient moved against it, by passes before it, so that what lies below is judged too.

    Args:
        batch: inputs and targets. A tuple of inputs is handed on as several arguments, a mapping as named ones.
        ignore: findings that are accepted. options: those of `probe`, such as `batch_dim=1`.

    Raises:
        UnhealthyError: an AssertionError with what was found; or less than nine tenths of the weights were measured.
        ValueError: as for `probe`; batch is not two things.
    """
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise ValueError(
            "assert_healthy: batch: must be two things, the inputs and the targets; several of either are a tuple"
        )
    inputs, targets = batch
    kept = [(parameter, parameter.grad) for parameter in model.parameters()]

    def one_pass() -> None:
        for parameter, _ in kept:
            parameter.grad = None
        result: Any = loss(_called(model, inputs), targets)
        result.backward()

    try:
        with undisturbed(model), moved_from_zero(model, one_pass), probe(model, ignore=ignore, **options) as p:
            one_pass()
            p.step()
    finally:
        for parameter, grad in kept:
            parameter.grad = grad
    p.check(*[kind for kind in KINDS if kind not in ignore])


def _called(model: nn.Module, inputs: Any) -> Any:
    if isinstance(inputs, Mapping):
        return model(**inputs)
    return model(*inputs) if isinstance(inputs, tuple) else model(inputs)
