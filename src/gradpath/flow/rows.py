"""From what a step showed to a row of the record: the raw numbers of all layers, in the order of the record's columns."""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from gradpath.flow.backward import say
from gradpath.flow.dead_units import Silence
from gradpath.flow.hooks import Watch
from gradpath.flow.in_time import InTime
from gradpath.flow.norms import Scalar
from gradpath.flow.places import Place
from gradpath.flow.processes import of_all_processes
from gradpath.flow.profile import rows_are_equal, scales_of
from gradpath.flow.quantities import SEEN, SHARED, Ledger, Step
from gradpath.flow.record import Record
from gradpath.flow.spectrum import cosines, ranks
from gradpath.flow.weights import Weights

NAN = float("nan")


class Scaler(Protocol):
    """The part of `torch.amp.GradScaler` that the probe needs."""

    def get_scale(self) -> float: ...


@dataclass
class Rows:
    """Makes the rows of a record.

    activations, inputs, rank, scaler, in_time: what is measured besides gradients and weights, as for `Probe`.
    off: quantities that could not be computed. columns: the record's column of each layer and station. scales: for each
    layer at the start sigma_w^2, sigma_b^2, and whether all units are the same. alike: where no gradient has told yet.
    """

    watch: Watch
    weights: Weights
    silence: Silence
    ledger: Ledger
    device: torch.device
    distributed: bool
    activations: bool
    inputs: Tensor | None
    rank: bool
    scaler: Scaler | None
    in_time: InTime
    kept: Record | None = None
    off: set[str] = field(default_factory=set)
    columns: dict[str, int] = field(default_factory=dict)
    scales: dict[str, tuple[float, float, bool]] = field(default_factory=dict)
    alike: set[str] = field(default_factory=set)

    @property
    def record(self) -> Record:
        """All rows so far."""
        if self.kept is None:
            return Record([], self.ledger.quantities)
        self.ledger.settle(self.kept)
        self.kept.in_time = self.in_time.matrices(self.kept.steps)
        return self.kept

    @property
    def scale(self) -> float:
        """What undoes the gradient scaler's scale. Waits for a device, as the scaler itself does at each step."""
        return 1 / self.scaler.get_scale() if self.scaler else 1.0

    def look_at_scales(self) -> None:
        """Notes how the layers' weights are drawn, of those that are new."""
        self.scales |= {m.name: scales_of(m.layer) for m in self.watch.meters if m.name not in self.scales}

    def append(self, step: int, joins: Collection[Place], batches: int, slow: bool, scale: float) -> None:
        """Adds a step's raw numbers, which the meters hold.

        Args:
            joins: the places where branches join. batches: what their gradients are divided by. scale: that of the step.
        """
        meters, ledger = self.watch.meters, self.ledger
        numbers: dict[str, list[Scalar]] = {
            "delta": [meter.delta for meter in meters],
            "samples": [meter.samples for meter in meters],
            "entries": [meter.entries for meter in meters],
            **self.weights.take(slow),
        }
        if slow:
            numbers |= self._slow_numbers()
        chosen = [name for name in ledger.names if name in numbers]
        if self.distributed:
            shared = np.repeat([name in SHARED for name in chosen], len(meters))
            flat = of_all_processes([one for name in chosen for one in numbers[name]], shared, self.device)
            numbers = {name: flat[i * len(meters) : (i + 1) * len(meters)] for i, name in enumerate(chosen)}
        beside = self.watch.sums_at(joins, batches)
        self._look_at_symmetry()
        columns = self._columns([join.name for join in joins])
        scalars = [one for name in chosen for one in (*numbers[name], *(at.get(name, NAN) for at in beside))]
        centres = [*(meter.shape.centre for meter in meters), *(0.0 for _ in joins)]
        ledger.steps.append(Step(step, scale, columns, scalars, centres))
        if len(ledger.steps) == ledger.MOST:
            assert self.kept
            ledger.settle(self.kept)

    def _columns(self, joins: Sequence[str]) -> list[int]:
        """The record's columns of the layers and of these stations. New ones get a column each."""
        names = {meter.layer: meter.name for meter in self.watch.meters}
        wanted = [*names.values(), *joins]
        if any(name not in self.columns for name in wanted):
            called = [names[layer] for layer in self.watch.measuring.called if layer in names]
            order = list(dict.fromkeys([*called, *names.values()]))
            ends = {join: re.split("#| \\+", join)[0] for join in joins}
            for join in reversed([join for join in joins if ends[join] in order]):
                # After the layer that ends the branch; each goes before those of later calls.
                order.insert(order.index(ends[join]) + 1, join)
            order += [join for join in joins if join not in order]
            new = [name for name in order if name not in self.columns]
            if self.kept is None:
                self.kept = Record([], self.ledger.quantities)
            free = len(self.kept.layers) - len(self.columns)
            if len(new) > free:
                self.kept.widen(new[free:])
            self.columns |= {name: len(self.columns) + index for index, name in enumerate(new)}
        return [self.columns[name] for name in wanted]

    @torch.no_grad()
    def _slow_numbers(self) -> dict[str, list[Scalar]]:
        """The numbers of activations and of whatever else was asked for."""
        meters = self.watch.meters
        numbers: dict[str, list[Scalar]] = {}
        if self.activations:
            for name in SEEN:
                numbers[name] = [NAN if m.activations is None else getattr(m.activations, name) for m in meters]
            numbers["dead"] = self._dead()
        if self.inputs is not None:
            numbers["correlation"] = self._tried("correlation", self._correlations)
        if self.rank:
            matrices = [self.weights.matrix(index) for index in range(len(meters))]
            numbers["rank"] = self._tried("rank", lambda: ranks(matrices))
        return numbers

    def _correlations(self) -> list[float]:
        assert self.inputs is not None
        called = [meter for meter in self.watch.meters if meter.layer.kind != "parameter"]
        cosine = cosines(self.watch.model, [meter.layer.module for meter in called], self.inputs)
        found = dict(zip(called, cosine, strict=True))
        return [found.get(meter, NAN) for meter in self.watch.meters]

    def _tried(self, name: str, compute: Callable[[], Sequence[float]]) -> list[Scalar]:
        """What is computed; NaN from the first failure on."""
        if name not in self.off:
            try:
                return list(compute())
            except Exception as error:
                self.off.add(name)
                say(f"gradpath: {name} is not measured any more: {type(error).__name__}: {error}")
        return [NAN] * len(self.watch.meters)

    def _look_at_symmetry(self) -> None:
        """Checks on the first step that brings any whether units with the same weights also get the same gradients.

        If their gradients differ (a residual block that starts at zero), the units will not stay the same.
        """
        if not self.columns:
            self.alike = {name for name, (*_, same) in self.scales.items() if same}
        for index, meter in enumerate(self.watch.meters if self.alike else ()):
            weight = self.weights.matrix(index) if meter.name in self.alike else None
            if weight is not None and weight.grad is not None and bool(weight.grad.any()):
                sigma_w2, sigma_b2, _ = self.scales[meter.name]
                self.scales[meter.name] = sigma_w2, sigma_b2, rows_are_equal(weight.grad)
                self.alike.remove(meter.name)

    def _dead(self) -> list[Scalar]:
        """The fraction of dead units in each layer, as `Silence` counts them; NaN for a layer without an activation."""
        meters = self.watch.meters
        samples = max((m.samples for m in meters if m.activations), default=0)
        return self.silence.dead([m.activations.peak if m.activations else None for m in meters], samples, self.device)
