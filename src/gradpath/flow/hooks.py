"""What passes through the Linear layers of a network: gradients at the pre-activations, and activations."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from gradpath.flow.backward import say
from gradpath.flow.norms import Scalar, square_sum
from gradpath.flow.saturation import Shape, is_activation, shape_of


@dataclass(slots=True)
class Activations:
    """Sums over the outputs of a layer's activation, taken about phi(0) so that a small variance stays exact.

    given: the sum, None if it equals the sum of `peak`. squares: the sum of squares. outputs, saturated: how many outputs
    there are, and how many of them are saturated. peak: (units,), positive for a unit that was not zero on every sample.
    values: the latest outputs themselves, if they are kept.
    """

    shape: Shape
    given: Scalar | None
    squares: Scalar
    outputs: int
    saturated: Scalar
    peak: Tensor
    values: Tensor | None

    def __add__(self, later: "Activations") -> "Activations":
        return replace(
            later,
            given=None if self.given is None and later.given is None else self.total + later.total,
            squares=self.squares + later.squares,
            outputs=self.outputs + later.outputs,
            saturated=self.saturated + later.saturated,
            # Peaks are never negative (sums or maxima), so their sum is positive if one of them is.
            peak=self.peak + later.peak,
        )

    @property
    def total(self) -> Scalar:
        return _scalar(self.peak.sum()) if self.given is None else self.given


@dataclass(slots=True)
class Use:
    """One call of a layer; it counts once a gradient comes back to it.

    place: address of its input in memory. shape: shape of its output.
    """

    place: int
    shape: torch.Size
    activations: Activations | None = None


class Meter:
    """Sums for one layer over the backward passes since `clear`: squares of the gradients at h, samples, entries of h."""

    def __init__(self, name: str, linear: nn.Linear) -> None:
        self.name, self.linear = name, linear
        # The shape of the activation behind the layer, kept from step to step.
        self.shape = Shape()
        # Whether measuring has failed here.
        self.off = False
        # The latest sum of a gradient's squares, from this step or an earlier one.
        self.square: Scalar = 1.0
        self.clear()

    def clear(self) -> None:
        self.uses = self.samples = self.entries = 0
        self.delta: Scalar = 0.0
        self.activations: Activations | None = None

    def add(self, grad: Tensor, use: Use | None) -> None:
        # A single sample may come without a batch dimension.
        samples = len(grad) if grad.ndim > 1 else 1
        self.uses += 1
        self.samples += samples
        self.entries += grad.numel()
        # The mean over the batch put a factor of 1 / samples into every gradient; it is taken out here.
        self.square = square_sum(grad, self.square)
        self.delta += samples**2 * self.square
        seen = use.activations if use else None
        if seen:
            self.shape = seen.shape
            self.activations = self.activations + seen if self.activations else seen


class Watch:
    """Hooks on every `nn.Linear` of `model`, and on the activation behind each.

    A layer's activation is the first activation module called after it. If there is none (a function such as `F.relu`), it
    is the input of the next Linear. Passes without gradients (`torch.no_grad`) are not seen, and a forward pass counts only
    once its backward pass comes. A layer used several times counts as one layer that has the units of all its uses.
    What is frozen, with all below it, is not measured: nothing is made to require a gradient.
    Checkpointed parts need `use_reentrant=False`, because a reentrant one runs a backward pass of its own.

    Args:
        model: any module with Linear layers.
        keep: hold on to the latest activations, for histograms.
        on_backward: called once in each backward pass, by the first gradient that arrives.

    Raises:
        ValueError: there is no Linear layer, or one has no shape yet.
    """

    def __init__(self, model: nn.Module, keep: bool = False, on_backward: Callable[[], None] | None = None) -> None:
        named = [(name, module) for name, module in model.named_modules() if isinstance(module, nn.Linear)]
        if not named:
            raise ValueError("probe: the model has no nn.Linear layer to watch")
        for name, linear in named:
            if isinstance(linear.weight, nn.UninitializedParameter):
                raise ValueError(f"probe: {name} has no shape yet; run a batch through the model first")  # noqa: TRY004
        self.meters = [Meter(name or "linear", linear) for name, linear in named]
        self.shapes = {module: shape_of(module) for module in model.modules() if is_activation(module)}
        self.activations, self.keep, self.on_backward = False, keep, on_backward
        self.last: Use | None = None
        self.activation_handles: list[RemovableHandle] = []
        # The gradients of these tell whether a step's accumulation has begun.
        self.trained = [p for p in model.parameters() if p.requires_grad]
        self.model = model
        self.handles: list[RemovableHandle] = []
        # The layers used so far, in the order of their first use.
        self.order: dict[Meter, None] = {}
        self.clear()

    def attach(self) -> None:
        """Starts to watch gradients; does nothing if it already watches them."""
        if not self.handles:
            hooks = [(meter.linear, partial(self._on_linear, meter)) for meter in self.meters]
            self.handles = [linear.register_forward_hook(hook, with_kwargs=True) for linear, hook in hooks]

    def watch_activations(self, watching: bool) -> None:
        """Starts or stops to watch activations too."""
        for handle in self.activation_handles:
            handle.remove()
        self.activation_handles = []
        self.activations, self.last = watching, None
        if watching:
            hooks = [(a, partial(self._on_activation, shape)) for a, shape in self.shapes.items()]
            self.activation_handles = [module.register_forward_hook(hook) for module, hook in hooks]
            self.activation_handles.append(self.model.register_forward_pre_hook(self._on_forward))

    def detach(self) -> None:
        """Leaves the model as it was."""
        self.watch_activations(False)
        for handle in self.handles:
            handle.remove()
        self.handles = []
        self.clear()

    def clear(self) -> None:
        """Forgets what was seen. `passes` counts the backward passes since."""
        self.passes, self.pass_id, self.last = 0, -1, None
        for meter in self.meters:
            meter.clear()

    def in_order(self) -> list[Meter]:
        """The layers in the order of their first use, those never used last."""
        return [*self.order, *(meter for meter in self.meters if meter not in self.order)]

    def _on_forward(self, module: nn.Module, inputs: Any) -> None:
        # No activation of this pass belongs to the last layer of an earlier pass.
        self.last = None

    def _on_linear(
        self, meter: Meter, module: nn.Module, inputs: tuple[Tensor, ...], named: dict[str, Tensor], h: Tensor
    ) -> None:
        # What needs no gradient is frozen, with all below it, and takes no part in training.
        if not h.requires_grad or meter.off or not torch.is_grad_enabled() or _is_transformed():
            return
        try:
            self.order[meter] = None
            use = self._use(inputs[0] if inputs else named["input"], h) if self.activations else None
            assert h.grad_fn is not None
            # A hook on the node sees the gradient that flows on at h: summed over all its uses, and as the user's hooks left
            # it. A hook on the tensor would run before the user's, and would be called for `autograd.grad(..., h)` as well.
            h.grad_fn.register_prehook(partial(self._on_delta, meter, use))
        except Exception as error:
            self._give_up(meter, error)

    def _give_up(self, meter: Meter, error: Exception) -> None:
        """Measures a layer no more. An error of the measuring must not end the training."""
        meter.off = True
        say(f"gradpath: {meter.name} is not measured any more: {type(error).__name__}: {error}")

    def _use(self, inputs: Tensor, h: Tensor) -> Use:
        place, last = inputs.data_ptr(), self.last
        # If no activation module was called since the last layer, this layer's input is the last layer's activation, unless
        # it was the last layer's input too, has another shape or has no gradient.
        follows = inputs.requires_grad and last is not None and place != last.place and inputs.shape == last.shape
        if last is not None and last.activations is None and follows:
            last.activations = _sums(inputs.detach(), Shape(), self.keep)
        self.last = Use(place, h.shape)
        return self.last

    def _on_activation(self, shape: Shape, module: nn.Module, inputs: Any, outputs: Tensor) -> None:
        if self.last is None or self.last.activations is not None or not torch.is_grad_enabled() or _is_transformed():
            return
        try:
            self.last.activations = _sums(outputs.detach(), shape, self.keep)
        except Exception as error:
            # Its layer is measured without the activation.
            self.shapes.pop(module, None)
            say(f"gradpath: {type(module).__name__} is not measured any more: {type(error).__name__}: {error}")

    def _on_delta(self, meter: Meter, use: Use | None, grads: tuple[Tensor | None, ...]) -> None:
        grad = grads[0]
        # Gradients are enabled for a derivative inside the loss (create_graph=True); the backward pass itself comes later.
        if grad is None or torch.is_grad_enabled() or meter.off:
            return
        this = torch._C._current_graph_task_id()
        if this != self.pass_id:
            self._begin_pass(this)
        try:
            meter.add(grad, use)
        except Exception as error:
            self._give_up(meter, error)

    def _begin_pass(self, pass_id: int) -> None:
        if all(parameter.grad is None for parameter in self.trained):
            # All gradients were thrown away, so whatever had been collected belongs to no step.
            self.clear()
        self.passes, self.pass_id = self.passes + 1, pass_id
        if self.on_backward:
            self.on_backward()


def _sums(outputs: Tensor, shape: Shape, keep: bool) -> Activations:
    rows = outputs if outputs.ndim == 2 else outputs.reshape(-1, outputs.shape[-1])
    if rows.dtype not in (torch.float32, torch.float64):
        rows = rows.float()
    centred = rows - shape.centre if shape.centre else rows
    # A sum of non-negative outputs is zero only if all of them are, so one pass over the data gives peak and total.
    peak = rows.sum(0) if shape.nonnegative else rows.abs().amax(0)
    given = None if shape.total_is_peak else _scalar(centred.sum())
    saturated = shape.saturated(rows)
    return Activations(
        shape=shape,
        given=given,
        squares=square_sum(centred),
        outputs=rows.numel(),
        saturated=float("nan") if saturated is None else _scalar(saturated),
        peak=peak,
        values=rows if keep else None,
    )


def _is_transformed() -> bool:
    """Whether a transform of `torch.func` runs (vmap, grad): its tensors have no values of their own."""
    return bool(torch._C._are_functorch_transforms_active())


def _scalar(value: Tensor) -> Scalar:
    return value.item() if value.is_cpu else value.double()
