"""The probe: per layer and measured step, what the gradient, the weights and the activations did."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils.hooks import RemovableHandle

from gradpath.flow.divergence import first_not_finite
from gradpath.flow.findings import MOST, Finding, anatomy, in_pytorch
from gradpath.flow.norms import Scalar, gather, square_sum, square_sums
from gradpath.flow.profile import LayerFlow, rows_are_equal, scales_of
from gradpath.flow.quantities import ACTIVATIONS, GRADIENTS, WEIGHTS, reckon
from gradpath.flow.record import FILE, Matrix, Record, set_verdict
from gradpath.flow.spectrum import cosines, ranks
from gradpath.flow.verdict import read, verdict
from gradpath.flow.watch import SUMS, Meter, Watch

# A unit is dead when it was zero on this many samples in a row (all of them, before so many were seen).
WINDOW = 1024


class Scaler(Protocol):
    """What is needed of `torch.amp.GradScaler`."""

    def get_scale(self) -> float: ...


class Probe:
    """Measures every `every`-th optimiser step of the training of `model`, whoever writes the loop.

    A step begins with its first backward pass and ends with `optimizer.step()`; torch's global optimiser hooks tell. Steps
    that are not measured cost two empty calls. On a measured step compiled modules run eagerly, because compiled code
    cannot be watched.

    Quantities, (L,) per measured step, in the order of the layers' first use:
        delta: root mean square over samples of |dLoss_i/dh|, h the pre-activation, Loss_i the sample's own loss;
            delta_second_moment its square, which theory speaks of (Schoenholz et al. 2016); delta_rms per entry.
        weight_grad_norm, bias_grad_norm: |dW|, |db| of the step's loss, before clipping; weight_grad_norm_clipped after.
        weight_norm: |W| before the step. weight_grad_ratio: |dW| / |W|.
        update_ratio: |W_after - W_before| / |W_before|, what the optimiser really did.
        activation_mean, activation_variance: over samples and units.
        saturated: fraction of activations within 3 % of half the range of a bound (|tanh| > 0.97); NaN without bounds.
        dead: fraction of units that were zero on every one of the last 1024 samples measured.
        correlation: cosine of the pre-activations of two fixed inputs. rank: of W.
    NaN where nothing was measured: no gradient, no activation behind the layer, weights of zero; inf where a value was not
    finite. Of several optimisers in turn, a step is that of the first; the others' layers have no update ratio.

    Args:
        model: any module with `nn.Linear` layers. Its loss is taken to be a mean over the batch and, under gradient
            accumulation, over the step's backward passes.
        every: steps from one measurement to the next.
        slow_every: measurements from one of all else than the gradients (weights, updates, activations, ...) to the next;
            NaN between them. Reading weights and activations costs three times what reading gradients does.
        activations: measure them too.
        inputs: fixed inputs, of which the first two are followed (None: no correlation).
        rank: measure the rank of every W, a singular value decomposition each.
        clipping: measure |dW| after clipping as well.
        keep: hold on to activations and gradients until `on_row` returns.
        scaler: the gradient scaler of 16-bit AMP; gradients are divided by its scale.
        passes: backward passes that the loss is divided by (None: as many as a step has).
        distributed: processes share the batches; all of them see the numbers of the whole.
        first_step: the number of the first step.
        on_row: called after each measured step.

    Raises:
        ValueError: there is no Linear layer, or one that has no shape yet; every < 1; fewer than two inputs.
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
        on_row: Callable[["Probe"], None] | None = None,
    ) -> None:
        if every < 1 or slow_every < 1:
            raise ValueError(f"probe: every={every}, slow_every={slow_every}: must be at least 1")
        if inputs is not None and len(inputs) < 2:
            raise ValueError("probe: inputs: must hold two samples at least, whose correlation is followed")
        self.model, self.every, self.activations = unwrapped(model), every, activations
        self.inputs, self.rank, self.clipping, self.scaler, self.passes = inputs, rank, clipping, scaler, passes
        self.distributed, self.step, self.on_row = distributed, first_step, on_row
        self.device = next(model.parameters()).device
        self.slow_every, self.slow = slow_every, False
        # Compiled from outside, or by `module.compile()`. Only then: forcing eager execution slows every call down.
        self.compiled = self.model is not model or any(module._compiled_call_impl is not None for module in model.modules())
        self.watch = Watch(self.model, keep, self._on_backward)
        # A weight that is computed from others (spectral norm) is no parameter, and is not read.
        weights = [meter.linear.weight for meter in self.watch.meters]
        self.weights: Sequence[Tensor | None] = [w if isinstance(w, nn.Parameter) else None for w in weights]
        self.biases: Sequence[Tensor | None] = [meter.linear.bias for meter in self.watch.meters]
        # Small, and cheaper all at once when the step is done; but by then they have been clipped or unscaled.
        self.hooks_on_biases = clipping or scaler is not None or distributed
        self.owned = {id(parameter) for parameter in model.parameters()}
        # sigma_w^2, sigma_b^2 and whether all units are the same, as the probe found them.
        self.scales: dict[Meter, tuple[float, float, bool]] = {}
        self.kept: Record | None = None
        # The meters in the order of the record's columns.
        self.columns: list[Meter] = []
        # Step, backward passes, scale, uses of each layer, numbers.
        self.pending: list[tuple[int, int, float, list[int], Matrix]] = []
        self.grad_hooks: list[RemovableHandle] = []
        self.unread = [float("nan")] * len(self.weights)
        self.grad_squares: list[Scalar] = [*self.unread, *self.unread]
        self.weight_squares: list[Scalar] = []
        self.before: list[Tensor] = []
        self.moved: set[int] = set()
        self.idle: npt.NDArray[np.int64] | None = None
        self.seen = 0
        self.hooks: list[RemovableHandle] = []
        # The optimiser in the middle of a step: one that is made of others calls theirs from its own.
        self.stepping: Optimizer | None = None

    @property
    def record(self) -> Record:
        """All that was measured so far; its columns stand in the order in which the first measured step used the layers."""
        self._settle()
        return self.kept or Record([], self.quantities)

    def verdict(self) -> dict[str, Any]:
        """What the first measured step says, as `verdict.verdict` has it; `end`: the reading of the last; `diverged`: where
        NaN or Inf came first, or None. Remedies are in PyTorch's words."""
        record = self.record
        network = anatomy(self.model)
        profile = self._profile()
        found = verdict(profile, network)
        for finding in found["findings"]:
            finding["remedy"] = in_pytorch(finding["remedy"], profile[:-1], network)
        used = [index for index, meter in enumerate(self.columns) if meter in self.watch.order]
        last = read(record.row(-1)["delta"][used[:-1]].tolist()).as_dict() if record.steps else None
        first = first_not_finite(record)
        if first:
            cause = found["findings"][0]["cause"] if found["findings"] else "learning rate"
            message, remedy = f"the first NaN or Inf came at {first}", "a smaller learning rate"
            remedy = found["findings"][0]["remedy"] if found["findings"] else remedy
            finding = Finding("divergence", cause, first.layer, message, remedy)
            found["findings"] = [*found["findings"][:1], asdict(finding), *found["findings"][1:]][:MOST]
        return {**found, "end": last, "diverged": str(first) if first else None}

    def _profile(self) -> list[LayerFlow]:
        """The rows of the first measured step."""
        record = self.record
        if not record.steps:
            return []
        row = record.row(0)

        def value(name: str, index: int) -> float | None:
            return float(row[name][index]) if name in row and np.isfinite(row[name][index]) else None

        return [
            LayerFlow(
                layer=record.layers[index],
                width=meter.linear.out_features,
                sigma_w2=self.scales[meter][0],
                sigma_b2=self.scales[meter][1],
                q=float("nan"),
                delta=float(row["delta"][index]),
                weight_grad_norm=float(row["weight_grad_norm"][index]),
                weight_norm=float(row["weight_norm"][index]),
                symmetric=self.scales[meter][2],
                saturated=value("saturated", index),
                dead=value("dead", index),
                correlation=value("correlation", index),
            )
            for index, meter in enumerate(self.columns)
            if meter in self.watch.order
        ]

    @property
    def quantities(self) -> list[str]:
        """The rows of a measurement."""
        return [
            *GRADIENTS,
            *WEIGHTS,
            *(["weight_grad_norm_clipped"] if self.clipping else []),
            *(ACTIVATIONS if self.activations else []),
            *(["correlation"] if self.inputs is not None else []),
            *(["rank"] if self.rank else []),
        ]

    def open(self) -> None:
        """Begins to measure."""
        self.compiled = self.compiled or _anything_compiled()
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
        """Writes the record to `folder`, made when missing."""
        folder.mkdir(parents=True, exist_ok=True)
        self.record.save(folder)

    @property
    def measuring(self) -> bool:
        """The coming step is measured."""
        return bool(self.watch.handles)

    def _ready(self) -> None:
        measured = self.step % self.every == 0
        slow = measured and self.step // self.every % self.slow_every == 0
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
            self._attach_to_gradients()
        else:
            self._detach()

    def _detach(self) -> None:
        self.watch.detach()
        for hook in self.grad_hooks:
            hook.remove()
        self.grad_hooks = []

    def _attach_to_gradients(self) -> None:
        """|dW| and |db| are measured where they are made, while they are in the cache; the latest of a step counts."""
        if self.distributed:
            return
        for index, parameter in enumerate([*self.weights, *(self.biases if self.hooks_on_biases else [])]):
            if parameter is not None and parameter.requires_grad:
                hook = partial(self._on_gradient, index)
                self.grad_hooks.append(parameter.register_post_accumulate_grad_hook(hook))  # type: ignore[no-untyped-call]

    def _on_gradient(self, index: int, parameter: Tensor) -> None:
        if parameter.grad is not None:
            self.grad_squares[index] = square_sum(parameter.grad)

    def _on_backward(self) -> None:
        if self.distributed:
            # At the end of the whole backward pass, when DDP has averaged: its callback is queued before this one's.
            queue = torch.autograd.Variable._execution_engine.queue_callback
            queue(lambda: queue(self._measure_gradients))

    def _measure_gradients(self) -> None:
        self.grad_squares = square_sums([None if p is None else p.grad for p in [*self.weights, *self.biases]])

    @torch.no_grad()
    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if self.stepping not in (None, optimizer) or not self._holds(optimizer):
            return
        self.stepping = optimizer
        if self.slow:
            if not self.before:
                self.before = [torch.empty(0) if weight is None else torch.empty_like(weight) for weight in self.weights]
            self.moved = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
            # Each measured while its copy is still in the cache.
            self.weight_squares = [
                float("nan") if w is None else square_sum(b.copy_(w)) for b, w in zip(self.before, self.weights, strict=True)
            ]

    @torch.no_grad()
    def _after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if self.stepping is not optimizer:
            return
        self.stepping = None
        overflow = getattr(optimizer, "found_inf", None)
        if overflow is not None and bool(overflow):
            # A fused optimiser under a gradient scaler: it was called, and left the weights alone.
            self.watch.clear()
            return
        if self.measuring:
            if self.watch.passes:
                self._finish()
            elif self.kept is not None or self.pending:
                # No backward pass since the last step: another optimiser's step of the same iteration.
                return
            elif not self.compiled and any(w is not None and w.grad is not None for w in self.weights):
                # Nothing passed the hooks: the step itself may have been compiled, and is measured from the next one on.
                self.compiled = True
                torch.compiler.set_stance("force_eager")
            self.watch.clear()
        self.step += 1
        self._ready()

    def _holds(self, optimizer: Optimizer) -> bool:
        return any(id(parameter) in self.owned for group in optimizer.param_groups for parameter in group["params"])

    def _finish(self) -> None:
        """Keeps the numbers of a step as they are, for `record` to reckon with many at once; the one transfer."""
        watch, meters, count = self.watch, self.watch.meters, len(self.weights)
        if not self.hooks_on_biases:
            self.grad_squares[count:] = _of_biases([None if bias is None else bias.grad for bias in self.biases])
        dead = self._dead(watch.peaks()) if self.activations and self.slow else self.unread[: count * self.activations]
        shared = [meter.sums[name] for name in SUMS for meter in meters]
        reads = zip(self.before, self.weights, strict=True) if self.weight_squares else ()
        changed = [
            square_sum(before.sub_(weight)) if weight is not None and id(weight) in self.moved else float("nan")
            for before, weight in reads
        ]
        clipped = (
            square_sums([weight if weight is None else weight.grad for weight in self.weights]) if self.clipping else []
        )
        own = [*self.grad_squares, *(self.weight_squares or self.unread), *(changed or self.unread), *clipped, *dead]
        self.weight_squares, self.grad_squares = [], [*self.unread, *self.unread]
        numbers = gather([*shared, *own])
        if self.distributed:
            total = torch.from_numpy(numbers[: len(shared)]).to(self.device)
            torch.distributed.all_reduce(total)
            numbers[: len(shared)] = total.cpu().numpy()
        unread = np.full(count, np.nan)
        if self.inputs is not None:
            linears = [meter.linear for meter in meters]
            numbers = np.append(numbers, cosines(self.model, linears, self.inputs) if self.slow else unread)
        if self.rank:
            numbers = np.append(numbers, ranks(self.weights) if self.slow else unread)
        scale = 1 / self.scaler.get_scale() if self.scaler else 1.0
        self._look_at_symmetry()
        self.pending.append((self.step, watch.passes, scale, [meter.uses for meter in meters], numbers))
        if self.on_row:
            self.on_row(self)

    def _look_at_symmetry(self) -> None:
        """Units with the same weights are told apart by their gradients, where those differ (a residual block that starts at
        zero): looked at on the first step, for the layers in question."""
        if self.kept is not None or self.pending:
            return
        for meter, (sigma_w2, sigma_b2, same) in list(self.scales.items()):
            grad = meter.linear.weight.grad
            self.scales[meter] = sigma_w2, sigma_b2, same and (grad is None or rows_are_equal(grad))

    def _settle(self) -> None:
        """Reckons the pending steps' rows and adds them to the record."""
        watch = self.watch
        if not self.pending:
            return
        if not self.columns:
            self.columns = watch.in_order()
        if self.kept is None:
            self.kept = Record([meter.name for meter in self.columns], self.quantities)
        steps, passes, scales, uses, numbers = zip(*self.pending, strict=True)
        self.pending = []
        position = {meter: index for index, meter in enumerate(watch.meters)}
        order = [position[meter] for meter in self.columns]
        names = [*SUMS, "grad", "bias", "weight", "changed", *self._extras()]
        blocks = np.array(numbers).reshape(len(steps), len(names), -1)
        read = {name: blocks[:, index] for index, name in enumerate(names)}
        passed, centres = np.array(passes)[:, None], np.array([meter.shape.centre for meter in watch.meters])
        rows = reckon(read, self.passes or passed, np.array(scales)[:, None], np.array(uses) / passed, centres)
        block = np.stack([rows[name] for name in self.quantities], axis=1)[:, :, order]
        for step, row in zip(steps, block, strict=True):
            self.kept.add(step, row)

    def _extras(self) -> list[str]:
        """What is measured beside the sums, gradients and weights, in the order of `_finish`."""
        asked = {
            "weight_grad_norm_clipped": self.clipping,
            "dead": self.activations,
            "correlation": self.inputs is not None,
            "rank": self.rank,
        }
        return [name for name, wanted in asked.items() if wanted]

    def _dead(self, peaks: Tensor | None) -> Sequence[Scalar]:
        """The fraction of each layer's units that were silent for WINDOW samples; NaN without an activation."""
        meters = self.watch.meters
        if peaks is None:
            return self.unread
        samples = max(int(float(m.sums["samples"]) * self.watch.passes / m.uses) for m in meters if m.peak is not None)
        if self.distributed:
            torch.distributed.all_reduce(peaks, torch.distributed.ReduceOp.MAX)
            samples *= torch.distributed.get_world_size()
        alive = peaks.cpu().numpy() > 0
        if self.idle is None or len(self.idle) != len(alive):
            self.idle, self.seen = np.zeros(len(alive), dtype=np.int64), 0
        self.idle = np.where(alive, 0, self.idle + samples)
        self.seen += samples
        return self.watch.per_layer(self.idle >= min(self.seen, WINDOW), mean=True)


def unwrapped(model: nn.Module) -> nn.Module:
    """The module inside `torch.compile`'s and DistributedDataParallel's wrappers."""
    while True:
        inner = model.module if isinstance(model, DistributedDataParallel) else getattr(model, "_orig_mod", None)
        if not isinstance(inner, nn.Module):
            return model
        model = inner


def _anything_compiled() -> bool:
    """Dynamo has compiled something in this process: it may be what calls the model."""
    dynamo = sys.modules.get("torch._dynamo.utils")
    return bool(dynamo and sum(dynamo.counters["frames"].values()))


def _is_distributed(model: nn.Module) -> bool:
    """DistributedDataParallel itself, or inside `torch.compile`'s wrapper."""
    return isinstance(getattr(model, "_orig_mod", model), DistributedDataParallel)


def _of_biases(grads: Sequence[Tensor | None]) -> Sequence[Scalar]:
    """The sum of squares of each of many small vectors, NaN for None."""
    chosen = [grad for grad in grads if grad is not None]
    if len(chosen) < len(grads) or not all(grad.is_cpu and grad.dtype == torch.float32 for grad in chosen):
        return square_sums(grads)
    # NumPy's calls on small arrays take a third of the time of torch's.
    together = np.concatenate([grad.numpy() for grad in chosen])
    starts = np.cumsum([0, *(len(grad) for grad in chosen[:-1])])
    sums: list[float] = np.add.reduceat(np.square(together, dtype=np.float64), starts).tolist()
    return sums


@contextmanager
def probe(model: nn.Module, folder: str | Path | None = None, **options: Any) -> Iterator[Probe]:
    """`with probe(model) as p:` around any training loop; `p.record` holds what was measured.

    Args:
        folder: keeps the record in `flow.npz` there, readable with numpy and by TensorBoard's Gradient Flow tab.
        options: as `Probe` takes them: `every=10`, `inputs=batch`, `scaler=scaler`.

    Raises:
        ValueError: as `Probe`; the folder holds a record.
        OSError: the folder cannot be made.
    """
    place = None if folder is None else Path(folder)
    if place is not None and (place / FILE).exists():
        raise ValueError(f"probe: folder={folder}: holds a record already; choose another")
    if place is not None:
        place.mkdir(parents=True, exist_ok=True)
    measuring = Probe(model, **{"distributed": _is_distributed(model), **options})
    measuring.open()
    try:
        yield measuring
    finally:
        measuring.close()
        if place is not None:
            measuring.save(place)
    if place is not None and measuring.record.steps:
        set_verdict(place, measuring.verdict())
