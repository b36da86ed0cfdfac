"""The probe: per layer and measured step, what the gradient, the weights and the activations did."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils.hooks import RemovableHandle

from gradpath.flow.norms import Scalar, gather, square_sum, square_sums
from gradpath.flow.record import Matrix, Record
from gradpath.flow.spectrum import cosines, ranks
from gradpath.flow.watch import SUMS, Watch

GRADIENTS = ["delta", "delta_second_moment", "delta_rms"]
WEIGHTS = ["weight_grad_norm", "bias_grad_norm", "weight_norm", "weight_grad_ratio", "update_ratio"]
ACTIVATIONS = ["activation_mean", "activation_variance", "saturated", "dead"]
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
    NaN where there is nothing to measure: no gradient, no activation behind the layer, weights of zero.

    Args:
        model: any module with `nn.Linear` layers. Its loss is taken to be a mean over the batch and, under gradient
            accumulation, over the step's backward passes.
        every: steps from one measurement to the next.
        weights_every: measurements from one that reads the weights (|W|, |dW| / |W|, update ratio) to the next; NaN between
            them. Reading all weights three times costs as much as all else.
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
        ValueError: there is no Linear layer.
    """

    def __init__(
        self,
        model: nn.Module,
        every: int = 1,
        activations: bool = True,
        *,
        weights_every: int = 1,
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
        self.model, self.every, self.activations = unwrapped(model), every, activations
        self.inputs, self.rank, self.clipping, self.scaler, self.passes = inputs, rank, clipping, scaler, passes
        self.distributed, self.step, self.on_row = distributed, first_step, on_row
        self.weights_every = weights_every
        self.watch = Watch(self.model, activations, keep, self._on_backward)
        self.weights: list[Tensor] = [meter.linear.weight for meter in self.watch.meters]
        self.owned = {id(parameter) for parameter in model.parameters()}
        self.record: Record | None = None
        # Where gradients are to be measured: at the end of each backward pass, unless another says when.
        self.measures_itself = True
        self.grad_squares: list[Scalar] = []
        self.weight_squares: list[Scalar] = []
        self.before: list[Tensor] = []
        self.unread = [float("nan")] * len(self.weights)
        self.ordered, self.places = -1, list[int]()
        self.idle: Tensor | None = None
        self.seen = 0
        self.hooks: list[RemovableHandle] = []
        # The optimiser in the middle of a step: one that is made of others calls theirs from its own.
        self.stepping: Optimizer | None = None

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
            self.watch.detach()
            torch.compiler.set_stance("default")

    def save(self, folder: Path) -> None:
        """Writes the record to `folder` (made when missing), and nothing when nothing was measured."""
        if self.record is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self.record.save(folder)

    @property
    def measuring(self) -> bool:
        """The coming step is measured."""
        return bool(self.watch.handles)

    def measure_gradients(self) -> None:
        """|dW| and |db| as they stand. The latest of several calls in a step counts."""
        grads = [meter.linear.weight.grad for meter in self.watch.meters]
        grads += [None if meter.linear.bias is None else meter.linear.bias.grad for meter in self.watch.meters]
        self.grad_squares = square_sums(grads)

    def _ready(self) -> None:
        measured = self.step % self.every == 0
        if measured == self.measuring:
            return
        # Compiled code does not call hooks that were set after it was compiled.
        torch.compiler.set_stance("force_eager" if measured else "default")
        if measured:
            self.watch.attach()
        else:
            self.watch.detach()

    def _on_backward(self) -> None:
        if self.measures_itself:
            # The end of the whole backward pass, DDP's averaging included: its callback is queued before this one's.
            queue = torch.autograd.Variable._execution_engine.queue_callback
            queue(lambda: queue(self.measure_gradients))

    @torch.no_grad()
    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if self.stepping not in (None, optimizer) or not self._holds(optimizer):
            return
        self.stepping = optimizer
        if self.measuring and self.step // self.every % self.weights_every == 0:
            if not self.before:
                self.before = [torch.empty_like(weight) for weight in self.weights]
            # Each measured while its copy is still in the cache.
            self.weight_squares = [square_sum(b.copy_(w)) for b, w in zip(self.before, self.weights, strict=True)]

    @torch.no_grad()
    def _after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if self.stepping is not optimizer:
            return
        self.stepping = None
        if self.measuring and self.watch.passes:
            self._finish()
        if self.measuring:
            self.watch.clear()
        self.step += 1
        self._ready()

    def _holds(self, optimizer: Optimizer) -> bool:
        return any(id(parameter) in self.owned for group in optimizer.param_groups for parameter in group["params"][:1])

    def _finish(self) -> None:
        """One row, from what was collected since the step began; the one transfer."""
        watch, meters = self.watch, self.watch.meters
        dead = self._dead(watch.peaks()) if self.activations else []
        shared = [meter.sums[name] for name in SUMS for meter in meters]
        changed = (
            [square_sum(b.sub_(w)) for b, w in zip(self.before, self.weights, strict=True)] if self.weight_squares else []
        )
        clipped = square_sums([weight.grad for weight in self.weights]) if self.clipping else []
        rest = [*self.grad_squares, *(self.weight_squares or self.unread), *(changed or self.unread), *clipped, *dead]
        self.weight_squares = []
        numbers = gather([*shared, *rest])
        sums = self._total(numbers[: len(shared)]).reshape(len(SUMS), -1)
        if self.record is None:
            self.record = Record([meter.name for meter in watch.in_order()], self.quantities)
        row = self._row(dict(zip(SUMS, sums, strict=True)), numbers[len(shared) :].reshape(-1, len(meters)))
        self.record.add(self.step, np.stack([row[name] for name in self.quantities])[:, self._places()])
        if self.on_row:
            self.on_row(self)

    def _places(self) -> list[int]:
        """Where each column of the record is among the meters."""
        if len(self.watch.order) == self.ordered:
            return self.places
        self.ordered = len(self.watch.order)
        position = {meter: index for index, meter in enumerate(self.watch.meters)}
        self.places = [position[meter] for meter in self.watch.in_order()]
        return self.places

    def _row(self, sums: dict[str, Matrix], rest: Matrix) -> dict[str, Matrix]:
        meters, passes = self.watch.meters, self.watch.passes
        scale = 1 / self.scaler.get_scale() if self.scaler else 1.0
        grad, bias, weight, changed, *others = rest
        uses = np.array([meter.uses for meter in meters]) / passes
        with np.errstate(divide="ignore", invalid="ignore"):
            delta2 = sums["delta"] * ((self.passes or passes) * scale) ** 2
            moment = delta2 * uses / sums["samples"]
            mean = sums["total"] / sums["outputs"]
            # Whoever says when gradients are measured also unscales them.
            norm, bias_norm = np.sqrt(grad), np.sqrt(bias)
            if self.measures_itself:
                norm, bias_norm = norm * scale, bias_norm * scale
            # There is no ratio to weights of zero.
            nonzero = np.where(weight > 0, weight, np.nan)
            row = {
                "delta": np.sqrt(moment),
                "delta_second_moment": moment,
                "delta_rms": np.sqrt(delta2 / sums["entries"]),
                "weight_grad_norm": norm,
                "bias_grad_norm": bias_norm,
                "weight_norm": np.sqrt(weight),
                "weight_grad_ratio": norm / np.sqrt(nonzero),
                "update_ratio": np.sqrt(changed / nonzero),
                "activation_mean": mean + np.array([meter.shape.centre for meter in meters]),
                "activation_variance": np.maximum(sums["squares"] / sums["outputs"] - mean**2, 0),
                "saturated": sums["saturated"] / sums["outputs"],
            }
        if self.clipping:
            row["weight_grad_norm_clipped"] = np.sqrt(others[0])
        if self.activations:
            row["dead"] = others[-1]
        if self.inputs is not None:
            row["correlation"] = cosines(self.model, [meter.linear for meter in meters], self.inputs)
        if self.rank:
            row["rank"] = ranks(self.weights)
        return row

    def _dead(self, peaks: Tensor | None) -> Sequence[Scalar]:
        """The fraction of each layer's units that were silent for WINDOW samples; NaN without an activation."""
        meters = self.watch.meters
        if peaks is None:
            return [float("nan")] * len(meters)
        samples = max(int(float(m.sums["samples"]) * self.watch.passes / m.uses) for m in meters if m.peak is not None)
        if self.distributed:
            torch.distributed.all_reduce(peaks, torch.distributed.ReduceOp.MAX)
            samples *= torch.distributed.get_world_size()
        if self.idle is None or len(self.idle) != len(peaks):
            self.idle, self.seen = torch.zeros(len(peaks), dtype=torch.int64), 0
        self.idle = torch.where(peaks > 0, 0, self.idle.to(peaks.device) + samples)
        self.seen += samples
        silent = self.watch.per_layer(self.idle >= min(self.seen, WINDOW))
        return [
            float("nan") if meter.peak is None else count / len(meter.peak)
            for meter, count in zip(meters, silent, strict=True)
        ]

    def _total(self, sums: Matrix) -> Matrix:
        if not self.distributed:
            return sums
        total = torch.from_numpy(sums).to(self.weights[0].device)
        torch.distributed.all_reduce(total)
        return total.cpu().numpy()


def unwrapped(model: nn.Module) -> nn.Module:
    """The module inside `torch.compile`'s and DistributedDataParallel's wrappers."""
    while True:
        inner = model.module if isinstance(model, DistributedDataParallel) else getattr(model, "_orig_mod", None)
        if not isinstance(inner, nn.Module):
            return model
        model = inner


@contextmanager
def probe(model: nn.Module, folder: str | Path | None = None, **options: Any) -> Iterator[Probe]:
    """`with probe(model) as p:` around any training loop; `p.record` holds what was measured.

    Args:
        folder: keeps the record in `flow.npz` there, readable with numpy and by TensorBoard's Gradient Flow tab.
        options: as `Probe` takes them: `every=10`, `inputs=batch`, `scaler=scaler`.

    Raises:
        ValueError: the model has no Linear layer.
    """
    distributed = isinstance(model, DistributedDataParallel)
    measuring = Probe(model, **{"distributed": distributed, **options})
    measuring.open()
    try:
        yield measuring
    finally:
        measuring.close()
        if folder is not None:
            measuring.save(Path(folder))
