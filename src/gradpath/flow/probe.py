"""The probe: what gradients, weights and activations did in each layer, at each measured step."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from torch import Tensor, nn
from torch.optim import Optimizer

from gradpath.flow.dead_units import Silence
from gradpath.flow.guarded import CallersError, Guard
from gradpath.flow.hooks import Watch
from gradpath.flow.in_time import InTime
from gradpath.flow.loop import Loop
from gradpath.flow.meters import Meter
from gradpath.flow.places import Seen
from gradpath.flow.processes import own_share
from gradpath.flow.quantities import Ledger
from gradpath.flow.record import Record
from gradpath.flow.rounds import StepNumber
from gradpath.flow.rows import Rows, Scaler
from gradpath.flow.stance import force_eager, release
from gradpath.flow.stepping import Optimizers
from gradpath.flow.way_norms import WayNorms
from gradpath.flow.weights import Weights
from gradpath.flow.wrappers import anything_compiled, is_compiled, unwrapped


class Probe:
    """Measures every `every`-th optimiser step of the training of `model`, whoever writes the loop.

    A step is a round of the model's optimisers (see `Rounds`); torch's global optimiser hooks tell when. Where there is no
    optimiser, `p.step()` ends one. A step that is not measured costs two empty calls. On a measured step compiled modules
    run eagerly, because compiled code cannot be watched.

    What is measured: `quantities.py`, (L,) per measured step, in the order of the layers' first use. With `follow`, the
    places where branches join have columns of their own, of the gradient alone.

    Args:
        model: any module with weights. The probe assumes that its loss is a mean over the batch and, under gradient
            accumulation, over the step's backward passes.
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
        samples: the number of samples in a batch, the same for all layers (None: the size of dimension `batch_dim` of the
            model's input).
        batch_dim: the dimension that counts samples (1 for `nn.LSTM` and `nn.Transformer` as they come).
        passes: backward passes that the loss is divided by (None: as many as a step has).
        distributed: processes share the batches; each records the numbers of the whole batch, and waits for the others. All
            must have a probe, with the same options. Without it, a process measures its own samples only.
        first_step: the number of the first step. on_row: called after each measured step.
        follow: find the way of the gradient in networks that branch. at: the modules whose outputs are its places instead;
            in "encoder.layer.*" the `*` stands for one part of a name.

    Raises:
        ValueError: there is no layer with weights, or one has no shape yet; every, slow_every or samples < 1; fewer than two
            inputs.
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
        samples: int | None = None,
        batch_dim: int = 0,
        passes: int | None = None,
        distributed: bool = False,
        first_step: int = 0,
        last_step: int | None = None,
        follow: bool = False,
        at: str | Collection[str] | None = None,
        on_row: Callable[["Probe"], None] | None = None,
    ) -> None:
        if every < 1 or slow_every < 1 or (samples is not None and samples < 1):
            raise ValueError(f"probe: every={every}, slow_every={slow_every}, samples={samples}: must be at least 1")
        if inputs is not None and len(inputs) < 2:
            raise ValueError("probe: inputs: must hold two samples at least, whose correlation is followed")
        self.model, self.every, self.activations = unwrapped(model), every, activations
        self.passes, self.number, self.on_row = passes, first_step, on_row
        self.slow_every, self.slow, self.last_step = slow_every, False, last_step
        self.guard = Guard(self.switch_off)
        # Eager execution is forced only for a compiled model, because forcing it slows every call down.
        self.compiled = is_compiled(model)
        self.watch = Watch(
            self.model, self.guard, keep, samples=samples, batch_dim=batch_dim, hook_each=is_compiled(model), at=at,
            on_start=self._on_start, on_pass=self._on_pass, on_computed=lambda *told: self.weights.add_computed(*told),
        )  # fmt: skip
        # This process measures its own samples only, of which several processes have some.
        self.share = None if distributed else own_share()
        late, averaged = not clipping and scaler is None, distributed or self.share is not None
        self.weights = Weights([m.layer for m in self.watch.meters], self.guard, clipping, late, averaged)
        self.ways = WayNorms(self.model) if follow else None
        self.loop = Loop(leftovers=self.watch.leftovers)
        self.version = self.watch.version
        asked = {"clipped": clipping, "activations": activations, "correlation": inputs is not None, "rank": rank}
        self.rows = Rows(
            self.watch, self.weights, Silence([meter.layer.sizes.units for meter in self.watch.meters], distributed),
            Ledger([name for name, wanted in asked.items() if wanted]), next(model.parameters()).device, distributed,
            activations, inputs, rank, scaler, self.ways.in_time if self.ways else InTime(),
        )  # fmt: skip
        self.optimizers = Optimizers(self.model, self.guard, self._before_step, self._after_step, self._skip, self.loop.meet)
        self.rounds = self.optimizers.rounds
        # Layers whose optimiser has stepped in this round, and those of them whose sums are still to be taken.
        self.taken: set[Meter] = set()
        self.due: set[Meter] = set()
        self.batches, self.complete, self.missed = 0, False, False

    @property
    def broken(self) -> str | None:
        """Why measuring has been switched off; None if it has not."""
        return self.guard.broken

    @property
    def step(self) -> StepNumber:
        """The number of optimiser steps done. Called, `p.step()`, it ends a step that no optimiser made."""
        return StepNumber.of(self.number, self.guard(self._finish_by_hand))

    @property
    def record(self) -> Record:
        """Everything measured so far. Its columns are in the order in which the first measured step used the layers."""
        return self.rows.record

    def open(self) -> None:
        """Starts to measure."""
        self.guard(self._open)()

    def close(self) -> None:
        """Leaves the model as it was."""
        self.guard(self.optimizers.detach, always=True)()
        self.guard(self._finish_last)()
        self.guard(self.switch_off, always=True)()

    def switch_off(self) -> None:
        """Leaves the model as it was, and measures nothing until it is attached again."""
        release(self)
        self._detach()

    def save(self, folder: Path) -> None:
        """Writes the record to `folder`, which is made if it is missing."""
        folder.mkdir(parents=True, exist_ok=True)
        self.record.save(folder)

    def _open(self) -> None:
        self.compiled = self.compiled or anything_compiled()
        self.rows.look_at_scales()
        self.optimizers.attach()
        self._ready()

    def _finish_last(self) -> None:
        if self.measuring and self.rounds.is_begun():
            self._finish()

    def _finish_by_hand(self) -> None:
        """Ends a step that no optimiser made: the weights have been changed by hand."""
        if self.measuring and self.watch.passes:
            self.weights.before_step(self.optimizers.owned, False)
            self.weights.after_step(self.optimizers.owned, self.slow)
            self.loop.meet(self.optimizers.owned)
            self.due = set(self.watch.meters)
            self._take()
        self._end()

    @property
    def measuring(self) -> bool:
        """Whether the coming step is measured."""
        return bool(self.watch.measuring.handles)

    def _ready(self) -> None:
        last = self.number == self.last_step
        measured = last or self.number % self.every == 0
        self.slow = last or (measured and self.number // self.every % self.slow_every == 0)
        self.watch.watch_activations(self.slow and self.activations)
        self.watch.measuring.follow = self.slow and self.ways is not None
        if measured == self.measuring:
            return
        if measured:
            if self.compiled:
                force_eager(self)
            self.watch.attach()
            self.weights.attach()
        else:
            self.switch_off()

    def _detach(self) -> None:
        self.watch.detach()
        self.weights.detach()
        self.weights.forget()

    def _on_start(self) -> None:
        """A backward pass is about to begin."""
        if self.watch.version != self.version:
            self._meet()
        self.weights.attach()
        if self.slow and not self.rounds.before and not self.rounds.now and not self.watch.passes:
            # No optimiser has been seen, so the weights may be changed by hand.
            self.weights.copy(self.optimizers.owned)

    def _on_pass(self) -> None:
        """A backward pass is over."""
        self.weights.after_pass()
        if self.ways:
            self.ways.after_pass(self.watch.passes[-1], self.watch.samples, self.watch.measuring.follow)
        if self.due:
            # Optimisers have stepped inside it.
            self._take()
            if self.complete:
                self._end()

    def _before_step(self, moving: set[int], again: bool) -> None:
        if again:
            self._end(self.watch.taken)
        if self.measuring:
            self.weights.before_step(moving, self.slow)

    def _after_step(self, optimizer: Optimizer, moving: set[int], complete: bool) -> None:
        self.loop.several |= bool(self.watch.taken) and len(self.watch.passes) > self.watch.taken
        if self.measuring:
            self.loop.look_at(optimizer)
            self.weights.after_step(moving, self.slow)
            self.due |= self.watch.moved(moving)
            if self.watch.measuring.stack:
                # It steps inside a backward pass, which is not over yet.
                self.complete = complete
                return
            self._take()
        if complete:
            self._end()

    def _skip(self) -> None:
        """An optimiser has left the weights alone."""
        self.watch.clear()
        self.weights.forget()

    def _take(self) -> None:
        """Sums up what the passes showed of the layers whose optimisers have stepped."""
        self.batches = max(self.batches, self.watch.add_up(self.due, self.passes))
        self.taken |= self.due
        self.watch.take(self.due)
        self.due = set()

    def _end(self, upto: int | None = None) -> None:
        """The step is over: its round of optimisers is complete. `upto`: its passes are the first of those seen."""
        if self.measuring:
            self._finish(upto)
        self.rounds.end()
        self.number += 1
        self._ready()

    def _finish(self, upto: int | None = None) -> None:
        """Appends the raw numbers of the finished step to the ledger, if it had a backward pass."""
        passes = self.watch.passes[:upto]
        seen = any(seen.places for seen in passes)
        if not seen and not self.compiled and (anything_compiled() or not self.taken) and self.weights.have_gradients():
            # There are gradients, but none passed the hooks: compiled code made them. The next step is measured.
            self.compiled = self.missed = True
            force_eager(self)
        elif seen or self.taken:
            self._add_row(passes, upto)
        self.watch.end(upto)
        self.weights.end(upto is None)
        self.taken, self.due, self.batches, self.complete = set(), set(), 0, False

    def _add_row(self, passes: Sequence[Seen], upto: int | None) -> None:
        """Appends the raw numbers of a step to the ledger."""
        followed = self.watch.measuring.follow
        self.watch.add_up([meter for meter in self.watch.meters if meter not in self.taken], self.passes, upto)
        batches = self.passes or self.batches or 1
        scale = self.rows.scale
        joins = self.ways.add(passes, followed, self.number, batches * scale) if self.ways else []
        if followed:
            self.loop.add(self.number, passes, scale)
        self.rows.append(self.number, joins, batches, self.slow, scale)
        try:
            if self.on_row:
                self.on_row(self)
        except Exception as error:
            raise CallersError(error) from error

    def _meet(self) -> None:
        """Modules were exchanged, so the layers are others than before."""
        self.version = self.watch.version
        self.weights.meet([meter.layer for meter in self.watch.meters])
        self.weights.attach()
        self.rows.silence.meet([meter.layer.sizes.units for meter in self.watch.meters])
        self.optimizers.meet()
        self.rows.look_at_scales()
