"""The probe: per layer and measured step, what the gradient, the weights and the activations did."""

from collections.abc import Callable, Iterator
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

from gradpath.flow.norms import Scalar, gather, square_sum
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
        self.watch = Watch(self.model, activations, keep, self._on_backward)
        self.weights: list[Tensor] = [meter.linear.weight for meter in self.watch.meters]
        self.owned = {id(parameter) for parameter in model.parameters()}
        self.record: Record | None = None
        # Where gradients are to be measured: at the end of each backward pass, unless another says when.
        self.measures_itself = True
        self.grad_squares: list[Scalar] = []
        self.bias_squares: list[Scalar] = []
        self.before: list[Tensor] = []
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
        meters = self.watch.meters
        self.grad_squares = [_squares_of(meter.linear.weight.grad) for meter in meters]
        biases = [meter.linear.bias for meter in meters]
        self.bias_squares = [_squares_of(None if bias is None else bias.grad) for bias in biases]

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
        if self.measuring:
            if not self.before:
                self.before = [torch.empty_like(weight) for weight in self.weights]
            self.weight_squares = []
            for before, weight in zip(self.before, self.weights, strict=True):
                # Measured while the copy is still in the cache.
                self.weight_squares.append(square_sum(before.copy_(weight)))

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
        meters, count = self.watch.meters, len(self.watch.meters)
        changed = [square_sum(b.sub_(w)) for b, w in zip(self.before, self.weights, strict=True)]
        clipped = [_squares_of(w.grad) for w in self.weights] if self.clipping else []
        columns = [[meter.sums[name] for meter in meters] for name in SUMS]
        dead = self._dead() if self.activations else []
        shared, own = [x for column in columns for x in column], [*self.grad_squares, *self.bias_squares]
        numbers = gather([*shared, *own, *self.weight_squares, *changed, *clipped, *dead])
        sums = self._total(numbers[: len(shared)]).reshape(len(SUMS), count)
        rest = numbers[len(shared) :].reshape(-1, count)
        if self.record is None:
            self.record = Record([meter.name for meter in self.watch.in_order()], self.quantities)
        row = self._row(dict(zip(SUMS, sums, strict=True)), rest)
        place = [meters.index(meter) for meter in self.watch.in_order()]
        self.record.add(self.step, np.stack([row[name][place] for name in self.quantities]))
        if self.on_row:
            self.on_row(self)

    def _row(self, sums: dict[str, Matrix], rest: Matrix) -> dict[str, Matrix]:
        meters, passes = self.watch.meters, self.watch.passes
        scale = 1 / self.scaler.get_scale() if self.scaler else 1.0
        grad, bias, weight, changed = rest[:4]
        uses = np.array([meter.uses for meter in meters]) / passes
        with np.errstate(divide="ignore", invalid="ignore"):
            delta2 = sums["delta"] * ((self.passes or passes) * scale) ** 2
            mean = sums["total"] / sums["outputs"]
            row = {
                "delta": np.sqrt(delta2 * uses / sums["samples"]),
                "delta_second_moment": delta2 * uses / sums["samples"],
                "delta_rms": np.sqrt(delta2 / sums["entries"]),
                # Where gradients are measured after unscaling, whoever said when also unscaled them.
                "weight_grad_norm": np.sqrt(grad) * (scale if self.measures_itself else 1.0),
                "bias_grad_norm": np.sqrt(bias) * (scale if self.measures_itself else 1.0),
                "weight_norm": np.sqrt(weight),
                "activation_mean": mean + np.array([meter.centre for meter in meters]),
                "activation_variance": np.maximum(sums["squares"] / sums["outputs"] - mean**2, 0),
                "saturated": sums["saturated"] / sums["outputs"],
            }
            row["weight_grad_ratio"] = np.where(weight > 0, row["weight_grad_norm"] / row["weight_norm"], np.nan)
            row["update_ratio"] = np.where(weight > 0, np.sqrt(changed / weight), np.nan)
        position = 4
        if self.clipping:
            row["weight_grad_norm_clipped"] = np.sqrt(rest[position])
            position += 1
        if self.activations:
            row["dead"] = rest[position]
        if self.inputs is not None:
            row["correlation"] = cosines(self.model, [meter.linear for meter in meters], self.inputs)
        if self.rank:
            row["rank"] = ranks(self.weights)
        return row

    def _dead(self) -> list[Scalar]:
        """The fraction of each layer's units that were silent for WINDOW samples; NaN without an activation."""
        meters = self.watch.meters
        watched = [meter for meter in meters if meter.peak is not None]
        if not watched:
            return [float("nan")] * len(meters)
        peaks = torch.cat([meter.peak for meter in watched if meter.peak is not None])
        samples = max(int(float(meter.sums["samples"]) * self.watch.passes / meter.uses) for meter in watched)
        if self.distributed:
            torch.distributed.all_reduce(peaks, torch.distributed.ReduceOp.MAX)
            samples *= torch.distributed.get_world_size()
        if self.idle is None or len(self.idle) != len(peaks):
            self.idle, self.seen = torch.zeros(len(peaks), dtype=torch.int64), 0
        self.idle = torch.where(peaks > 0, 0, self.idle.to(peaks.device) + samples)
        self.seen += samples
        silent = (self.idle >= min(self.seen, WINDOW)).double()
        sizes = torch.tensor([0 if meter.peak is None else len(meter.peak) for meter in meters])
        layer = torch.repeat_interleave(torch.arange(len(meters)), sizes).to(peaks.device)
        # NaN, 0 / 0, for a layer without an activation behind it.
        shares = torch.zeros(len(meters), dtype=torch.float64, device=peaks.device).index_add_(0, layer, silent)
        shares /= sizes.to(peaks.device)
        return shares.tolist() if peaks.device.type == "cpu" else list(shares.unbind())

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


def _squares_of(grad: Tensor | None) -> Scalar:
    return float("nan") if grad is None else square_sum(grad)


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
