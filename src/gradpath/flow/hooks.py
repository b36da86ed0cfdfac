"""What passes through the Linear layers of a network: gradients at the pre-activations, activations."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from gradpath.flow.norms import Scalar, square_sum
from gradpath.flow.saturation import Shape, is_activation, shape_of


@dataclass(slots=True)
class Activations:
    """Sums over the outputs of a layer's activation, about phi(0), which keeps a small variance exact.

    peak (units,): positive for a unit that was not zero on every sample. given: the total, None where it is that of `peak`.
    values: the latest outputs themselves, where kept.
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
            # Sums and maxima of what is not negative: positive where one of them is.
            peak=self.peak + later.peak,
        )

    @property
    def total(self) -> Scalar:
        return _scalar(self.peak.sum()) if self.given is None else self.given


@dataclass(slots=True)
class Use:
    """One call of a layer, counted once a gradient comes back to it.

    place: where its input lies in memory. shape: of its output.
    """

    place: int
    shape: torch.Size
    activations: Activations | None = None


class Meter:
    """The sums of one layer over the backward passes since `clear`: squares of the gradients at h, samples, entries of h."""

    def __init__(self, name: str, linear: nn.Linear) -> None:
        self.name, self.linear = name, linear
        # Of the activation behind it; stays from step to step.
        self.shape = Shape()
        # The latest square sum, of this step or an earlier one.
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
        # The mean over the batch put 1 / samples into every gradient; taken out again.
        self.square = square_sum(grad, self.square)
        self.delta += samples**2 * self.square
        seen = use.activations if use else None
        if seen:
            self.shape = seen.shape
            self.activations = self.activations + seen if self.activations else seen


class Watch:
    """Hooks on every `nn.Linear` of `model`, and on the activation behind each.

    A layer's activation is the first activation module called after it; where there is none (a function such as
    `F.relu`), what the next Linear takes in. Passes without gradients (`torch.no_grad`) are not seen, and a forward pass
    counts only once its backward pass comes. A layer used several times counts as one with all its uses' units. Checkpointed
    parts need `use_reentrant=False`: a reentrant one is a backward pass of its own.

    Args:
        model: any module with Linear layers.
        keep: hold on to the latest activations, for histograms.
        on_backward: called once in each backward pass, by the first gradient that arrives.

    Raises:
        ValueError: there is no Linear layer.
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
        # Their gradients tell whether a step's accumulation has begun.
        self.trained = [p for p in model.parameters() if p.requires_grad]
        self.model = model
        self.handles: list[RemovableHandle] = []
        # In the order of their first use, those never used last; filled as they are seen.
        self.order: dict[Meter, None] = {}
        self.clear()

    def attach(self) -> None:
        """Starts to watch gradients; a no-op when it does already."""
        if not self.handles:
            self.handles = [m.linear.register_forward_hook(partial(self._on_linear, m)) for m in self.meters]

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
        """Forgets what was seen. `passes`: backward passes since."""
        self.passes, self.pass_id, self.last = 0, -1, None
        for meter in self.meters:
            meter.clear()

    def in_order(self) -> list[Meter]:
        """The layers in the order of their first use, those never used last."""
        return [*self.order, *(meter for meter in self.meters if meter not in self.order)]

    def _on_forward(self, module: nn.Module, inputs: Any) -> None:
        # The last layer of an earlier pass has no activation behind it.
        self.last = None

    def _on_linear(self, meter: Meter, module: nn.Module, inputs: tuple[Tensor, ...], h: Tensor) -> Tensor | None:
        if not torch.is_grad_enabled():
            return None
        self.order[meter] = None
        use = self._use(inputs[0], h) if self.activations else None
        frozen = not h.requires_grad
        if frozen:
            # All below is frozen, and autograd would stop above this layer. A clone, so that what follows may be in place.
            h = h.detach().requires_grad_().clone()
        assert h.grad_fn is not None
        # The gradient that flows on at h, from all that uses it and as hooks of the user left it: a hook on the tensor would
        # run before theirs, and would be called for `autograd.grad(..., h)` as well.
        h.grad_fn.register_prehook(partial(self._on_delta, meter, use))
        return h if frozen else None

    def _use(self, inputs: Tensor, h: Tensor) -> Use:
        place, last = inputs.data_ptr(), self.last
        # No activation module since the last layer: what comes in here is its activation, unless it came in there too or is
        # something else.
        follows = inputs.requires_grad and last is not None and place != last.place and inputs.shape == last.shape
        if last is not None and last.activations is None and follows:
            last.activations = _sums(inputs.detach(), Shape(), self.keep)
        self.last = Use(place, h.shape)
        return self.last

    def _on_activation(self, shape: Shape, module: nn.Module, inputs: Any, outputs: Tensor) -> None:
        if self.last is not None and self.last.activations is None and torch.is_grad_enabled():
            self.last.activations = _sums(outputs.detach(), shape, self.keep)

    def _on_delta(self, meter: Meter, use: Use | None, grads: tuple[Tensor | None, ...]) -> None:
        grad = grads[0]
        # With gradients enabled: a derivative inside the loss (create_graph=True), whose own backward pass comes later.
        if grad is None or torch.is_grad_enabled():
            return
        this = torch._C._current_graph_task_id()
        if this != self.pass_id:
            self._begin_pass(this)
        meter.add(grad, use)

    def _begin_pass(self, pass_id: int) -> None:
        if all(parameter.grad is None for parameter in self.trained):
            # Gradients were thrown away: whatever had been collected belongs to no step.
            self.clear()
        self.passes, self.pass_id = self.passes + 1, pass_id
        if self.on_backward:
            self.on_backward()


def _sums(outputs: Tensor, shape: Shape, keep: bool) -> Activations:
    rows = outputs if outputs.ndim == 2 else outputs.reshape(-1, outputs.shape[-1])
    if rows.dtype not in (torch.float32, torch.float64):
        rows = rows.float()
    centred = rows - shape.centre if shape.centre else rows
    # Of what is not negative the sum over samples is zero only where all are: one pass over the data for two answers.
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


def _scalar(value: Tensor) -> Scalar:
    return value.item() if value.is_cpu else value.double()
