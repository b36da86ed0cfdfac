"""The probe: what gradients, weights and activations did in each layer, at each measured step."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils.hooks import RemovableHandle

from gradpath.flow.dead_units import Silence
from gradpath.flow.gradients import GradientSquares
from gradpath.flow.hooks import Meter, Watch
from gradpath.flow.norms import Scalar, square_sum, square_sums
from gradpath.flow.processes import of_all_processes
from gradpath.flow.profile import rows_are_equal, scales_of
from gradpath.flow.quantities import SEEN, SHARED, Ledger, Step
from gradpath.flow.record import Record
from gradpath.flow.spectrum import cosines, ranks
from gradpath.flow.wrappers import anything_compiled, is_compiled, unwrapped


class Scaler(Protocol):
    """The part of `torch.amp.GradScaler` that the probe needs."""

    def get_scale(self) -> float: ...


class Probe:
    """Measures every `every`-th optimiser step of the training of `model`, whoever writes the loop.

    A step begins with its first backward pass and ends with `optimizer.step()`; torch's global optimiser hooks tell when. A
    step that is not measured costs two empty calls. On a measured step compiled modules run eagerly, because compiled code
    cannot be watched.

    Quantities, (L,) per measured step, in the order of the layers' first use:
        delta: root mean square over samples of |dLoss_i/dh|, where h is the pre-activation and Loss_i the sample's own loss.
            delta_second_moment is its square, the quantity of theory (Schoenholz et al. 2016). delta_rms is the root mean
            square per entry of h.
        weight_grad_norm, bias_grad_norm: |dW|, |db| of the step's loss, before clipping.
            weight_grad_norm_clipped is |dW| after clipping.
        weight_norm: |W| before the step. weight_grad_ratio: |dW| / |W|.
        update_ratio: |W_after - W_before| / |W_before|, what the optimiser really did.
        activation_mean, activation_variance: mean and variance over samples and units.
        saturated: fraction of activations within 3 % of half the range of a bound (|tanh| > 0.97); NaN without bounds.
        dead: fraction of units that were zero on every one of the last 1024 samples measured.
        correlation: cosine between the pre-activations of two fixed inputs. rank: rank of W.
    A value is NaN if nothing was measured (no gradient, no activation behind the layer, weights of zero), and inf if it was
    not finite. If several optimisers step in turn, only the first one's step counts; the others' layers have no update
    ratio.

    Args:
        model: any module with `nn.Linear` layers. The probe assumes that its loss is a mean over the batch and, under
            gradient accumulation, over the step's backward passes.
        every: steps from one measurement to the next.
        slow_every: everything but the gradients (weights, updates, activations, ...) is measured at every `slow_every`-th
            measurement only, and is NaN at the others. Reading weights and activations costs three times what reading
            gradients does.
        activations: measure activations too.
        inputs: a batch of fixed inputs; the correlation of its first two is followed (None: no correlation).
        rank: measure the rank of every W, at the cost of one singular value decomposition each.
        clipping: measure |dW| after clipping as well.
        keep: hold on to activations and gradients until `on_row` returns.
        scaler: the gradient scaler of 16-bit AMP; gradients are divided by its scale.
        passes: backward passes that the loss is divided by (None: as many as a step has).
        distributed: processes share the batches; each process records the numbers of the whole batch.
        first_step: the number of the first step.
        on_row: called after each measured step.

    Raises:
        ValueError: there is no Linear layer, or one has no shape yet; every < 1; slow_every < 1; fewer than two inputs.
    """

    def __init__(
        self,
        model: nn.Module,
        every: int = 1,
        activations: bool = True,
        *,
        slow_every: int = 1,
        inputs: Tensor | None = None,
        rank: bool = False,
        clipping: bool = True,
        keep: bool = False,
        scaler: Scaler | None = None,
        passes: int | None = None,
        distributed: bool = False,
        first_step: int = 0,
        last_step: int | None = None,
        on_row: Callable[["Probe"], None] | None = None,
    ) -> None:
        if every < 1 or slow_every < 1:
            raise ValueError(f"probe: every={every}, slow_every={slow_every}: must be at least 1")
        if inputs is not None and len(inputs) < 2:
            raise ValueError("probe: inputs: must hold two samples at least, whose correlation is followed")
        self.model, self.every, self.activations = unwrapped(model), every, activations
        self.inputs, self.rank, self.clipping, self.scaler, self.passes = inputs, rank, clipping, scaler, passes
        self.distributed, self.step, self.on_row = distributed, first_step, on_row
        self.slow_every, self.slow, self.last_step = slow_every, False, last_step
        # Eager execution is forced only for a compiled model, because forcing it slows every call down.
        self.compiled = is_compiled(model)
        self.watch = Watch(self.model, keep)
        self.device = next(model.parameters()).device
        # A weight that is computed from others (spectral norm) is not a parameter and is not read.
        weights = [meter.linear.weight for meter in self.watch.meters]
        self.weights: Sequence[Tensor | None] = [w if isinstance(w, nn.Parameter) else None for w in weights]
        biases = [meter.linear.bias for meter in self.watch.meters]
        late = not clipping and scaler is None
        self.gradients = GradientSquares(self.weights, biases, late, distributed)
        self.watch.on_backward = self.gradients.on_backward
        self.silence = Silence([meter.linear.out_features for meter in self.watch.meters], distributed)
        self.owned = {id(parameter) for parameter in model.parameters()}
        # For each layer at the start: sigma_w^2, sigma_b^2, and whether all units are the same.
        self.scales: dict[Meter, tuple[float, float, bool]] = {}
        self.kept: Record | None = None
        # The meters in the order of the record's columns.
        self.columns: list[Meter] = []
        asked = {"clipped": clipping, "activations": activations, "correlation": inputs is not None, "rank": rank}
        self.ledger = Ledger([name for name, wanted in asked.items() if wanted])
        self.weight_squares: list[Scalar] = []
        self.before: list[Tensor] = []
        self.moved: set[int] = set()
        self.hooks: list[RemovableHandle] = []
        # The optimiser in the middle of its step. One made of others (Muon) steps them inside its own; those do not count.
        self.stepping: Optimizer | None = None
        # The optimisers that belong to the latest counted step: if several step in turn, one step is counted.
        self.stepped: set[int] = set()

    @property
    def record(self) -> Record:
        """Everything measured so far. Its columns are in the order in which the first measured step used the layers."""
        self._settle()
        return self.kept or Record([], self.ledger.quantities)

    def open(self) -> None:
        """Starts to measure."""
        self.compiled = self.compiled or anything_compiled()
        if not self.scales:
            self.scales = {meter: scales_of(meter.linear) for meter in self.watch.meters}
        self.hooks = [
            register_optimizer_step_pre_hook(self._before_step),
            register_optimizer_step_post_hook(self._after_step),
        ]
        self._ready()

    def close(self) -> None:
        """Leaves the model as it was."""
        for hook in self.hooks:
            hook.remove()
        self.hooks = []
        if self.measuring:
            self._detach()
            if self.compiled:
                torch.compiler.set_stance("default")

    def save(self, folder: Path) -> None:
        """Writes the record to `folder`, which is made if it is missing."""
        folder.mkdir(parents=True, exist_ok=True)
        self.record.save(folder)

    @property
    def _began(self) -> bool:
        """Whether a step has been measured."""
        return bool(self.kept or self.ledger.steps)

    @property
    def measuring(self) -> bool:
        """Whether the coming step is measured."""
        return bool(self.watch.handles)

    def _ready(self) -> None:
        last = self.step == self.last_step
        measured = last or self.step % self.every == 0
        slow = last or (measured and self.step // self.every % self.slow_every == 0)
        if slow != self.slow and self.activations:
            self.watch.watch_activations(slow)
        self.slow = slow
        if measured == self.measuring:
            return
        if self.compiled:
            # Compiled code does not call hooks that were set after it was compiled.
            torch.compiler.set_stance("force_eager" if measured else "default")
        if measured:
            self.watch.attach()
            self.gradients.attach()
        else:
            self._detach()

    def _detach(self) -> None:
        self.watch.detach()
        self.gradients.detach()

    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if self.stepping not in (None, optimizer) or not self._holds(optimizer):
            return
        self.stepping = optimizer
        if self.slow:
            if not self.before:
                self.before = [torch.empty(0) if weight is None else torch.empty_like(weight) for weight in self.weights]
            self.moved = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
            with torch.no_grad():
                # Each weight is squared while its copy is still in the cache.
                self.weight_squares = [
                    float("nan") if w is None else square_sum(b.copy_(w))
                    for b, w in zip(self.before, self.weights, strict=True)
                ]

    def _after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if self.stepping is not optimizer:
            return
        self.stepping = None
        overflow = getattr(optimizer, "found_inf", None)
        if overflow is not None and bool(overflow):
            # Under a gradient scaler a fused optimiser is called after an overflow too, but leaves the weights alone.
            self.watch.clear()
            return
        if self.measuring:
            if self.watch.passes:
                self._finish()
            elif self._began:
                # There was no backward pass since the last step, so this is another optimiser's step in the same iteration.
                return
            elif not self.compiled and any(w is not None and w.grad is not None for w in self.weights):
                # There are gradients, but none passed the hooks: the whole step may be compiled. The next one is measured.
                self.compiled = True
                torch.compiler.set_stance("force_eager")
            self.watch.clear()
        elif self.stepped and id(optimizer) not in self.stepped:
            # This is another optimiser's step in the same iteration.
            self.stepped.add(id(optimizer))
            return
        self.stepped = {id(optimizer)}
        self.step += 1
        self._ready()

    def _holds(self, optimizer: Optimizer) -> bool:
        return any(id(parameter) in self.owned for group in optimizer.param_groups for parameter in group["params"])

    def _finish(self) -> None:
        """Appends the raw numbers of the finished step to the ledger."""
        watch, meters, ledger = self.watch, self.watch.meters, self.ledger
        scalars = [
            *[meter.delta for meter in meters],
            *[meter.samples for meter in meters],
            *[meter.entries for meter in meters],
            *self.gradients.take(),
        ]
        if self.clipping:
            scalars += square_sums([None if weight is None else weight.grad for weight in self.weights])
        if self.slow:
            scalars += self._slow_numbers()
        scale = 1 / self.scaler.get_scale() if self.scaler else 1.0
        self._look_at_symmetry()
        uses = [meter.uses / watch.passes for meter in meters]
        if self.distributed:
            shared = [name in SHARED for name in ledger.names]
            scalars, uses = of_all_processes(scalars, uses, np.repeat(shared, len(meters)), self.device)
        ledger.steps.append(Step(self.step, self.passes or watch.passes, scale, uses, scalars))
        if len(ledger.steps) == ledger.MOST:
            self._settle()
        if self.on_row:
            self.on_row(self)

    @torch.no_grad()
    def _slow_numbers(self) -> list[Scalar]:
        """The numbers of weights, updates and whatever else was asked for, in the order of the ledger's names."""
        meters = self.watch.meters
        changed = [
            square_sum(before.sub_(weight)) if weight is not None and id(weight) in self.moved else float("nan")
            for before, weight in zip(self.before, self.weights, strict=True)
        ]
        numbers: list[Scalar] = [*self.weight_squares, *changed]
        if self.activations:
            for name in SEEN:
                numbers += [float("nan") if m.activations is None else getattr(m.activations, name) for m in meters]
            numbers += self._dead()
        if self.inputs is not None:
            numbers += cosines(self.model, [meter.linear for meter in meters], self.inputs)
        if self.rank:
            numbers += ranks(self.weights)
        return numbers

    def _look_at_symmetry(self) -> None:
        """Checks on the first step whether units with the same weights also get the same gradients.

        If their gradients differ (a residual block that starts at zero), the units will not stay the same.
        """
        if self._began:
            return
        for meter, weight in zip(self.watch.meters, self.weights, strict=True):
            sigma_w2, sigma_b2, same = self.scales[meter]
            if same and weight is not None and weight.grad is not None:
                self.scales[meter] = sigma_w2, sigma_b2, rows_are_equal(weight.grad)

    def _settle(self) -> None:
        """Adds the rows of the ledger's steps to the record."""
        meters = self.watch.meters
        if not self.ledger.steps:
            return
        if not self.columns:
            self.columns = self.watch.in_order()
        if self.kept is None:
            self.kept = Record([meter.name for meter in self.columns], self.ledger.quantities)
        position = {meter: index for index, meter in enumerate(meters)}
        self.ledger.settle(self.kept, [position[m] for m in self.columns], [m.shape.centre for m in meters])

    def _dead(self) -> list[float]:
        """The fraction of dead units in each layer, as `Silence` counts them; NaN for a layer without an activation."""
        meters = self.watch.meters
        samples = max((m.samples * self.watch.passes // m.uses for m in meters if m.activations), default=0)
        return self.silence.dead([m.activations.peak if m.activations else None for m in meters], samples, self.device)
