"""How large the gradient is at each time step of recurrent layers: depth in time.

A module such as `nn.LSTM` returns all its states at once, and the gradient at what it returns is only the part that enters
there. The whole gradient at a state also comes back through the states after it. It is computed here by a backward pass
through the layer alone, step by step, from the gradients that arrived at its outputs (backpropagation through time: Werbos
1990; that it vanishes: Bengio, Simard & Frasconi 1994). A cell (`nn.LSTMCell`) is called once for each time step, and the
gradient that arrives at its state is the whole one.
"""

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from gradpath.flow.backward import say, unobserved
from gradpath.flow.computed import computed
from gradpath.flow.growing import Growing
from gradpath.flow.kinds import Layer
from gradpath.flow.norms import Scalar, gather
from gradpath.flow.places import Place, Seen
from gradpath.flow.record import Matrix

# At most so many steps of a layer wait to be read.
MOST = 64
FORWARDS = (nn.RNN.forward, nn.LSTM.forward, nn.GRU.forward)
# A vector of sums of squares, one for each time step.
Squares = Tensor | Sequence[Scalar]


@dataclass(frozen=True)
class Row:
    """What one step showed of one layer: for each pass the number of samples, and sums of squares, one for each time step.

    factor: by which gradients are multiplied.
    """

    step: int
    factor: float
    passes: list[tuple[int, Squares]]


@dataclass
class InTime:
    """Keeps |delta| at each time step of every recurrent layer, for each step at which the ways are followed.

    Each layer of a stack, and each direction, has a name: `rnn`, `rnn[1]`, `rnn reverse`. All are in the order of time.
    """

    # Steps that wait to be read, those that wait to be given rows, and those that have some.
    rows: dict[str, list[Row]] = field(default_factory=dict)
    lines: dict[str, list[tuple[int, Matrix]]] = field(default_factory=dict)
    tables: dict[str, Growing] = field(default_factory=dict)
    waiting: dict[str, dict[Place, tuple[int, Squares]]] = field(default_factory=dict)
    off: set[Layer] = field(default_factory=set)
    steps: int = 0

    def look_at(self, seen: Seen, samples: int) -> None:
        """A pass is over, and the weights are still those with which it ran."""
        cells: dict[Layer, list[Place]] = {}
        for place in seen.places:
            layer = place.layer
            if layer is None or layer in self.off:
                continue
            if layer.kind == "cell":
                cells.setdefault(layer, []).append(place)
            elif place.call is not None:
                # As long as a pass through the layer itself: at the steps 0, 1, 2, 4, 8, ... of those that it is asked for.
                if self.steps & (self.steps - 1) == 0:
                    self._unroll(layer, place, samples)
                if not seen.keeps:
                    place.call = None
                    place.arrived = {part: replace(one, held=None) for part, one in place.arrived.items()}
        for layer, places in cells.items():
            states = sorted(places, key=lambda place: place.number)
            squares = [one.arrived[0].square if 0 in one.arrived else 0.0 for one in states]
            self.waiting.setdefault(layer.name or "model", {})[states[0]] = samples, squares

    def end(self, step: int, factor: float, passes: Collection[Seen]) -> None:
        """The passes were those of a step. `factor`: the number of batches in it, over the gradient scaler's scale."""
        counted = {place for seen in passes for place in seen.places}
        for name, found in self.waiting.items():
            own = [squares for place, squares in found.items() if place in counted]
            if own:
                self.rows.setdefault(name, []).append(Row(step, factor, own))
        if any(len(rows) >= MOST for rows in self.rows.values()):
            self._settle()
        self.waiting = {}
        self.steps += 1

    def matrices(self, steps: Sequence[int]) -> dict[str, Matrix]:
        """|delta| by layer, (steps, time), NaN where it was not measured. Waits for a device."""
        self._settle()
        for name, lines in self.lines.items():
            for step, line in lines:
                row = bisect_left(steps, step)
                if row < len(steps) and steps[row] == step:
                    self.tables.setdefault(name, Growing()).put(row, line)
        self.lines = {}
        return {name: table.first(len(steps)) for name, table in self.tables.items()}

    def _settle(self) -> None:
        """Reads the numbers that wait, of which each may be a small tensor on a device."""
        for name, rows in self.rows.items():
            self.lines.setdefault(name, []).extend((row.step, _delta(row)) for row in rows)
        self.rows = {}

    def _unroll(self, layer: Layer, place: Place, samples: int) -> None:
        try:
            for ending, squares in _squares(layer, place).items():
                self.waiting.setdefault(f"{place.name}{ending}", {})[place] = samples, squares
        except Exception as error:
            self.off.add(layer)
            say(f"gradpath: {layer.name} is not measured in time any more: {type(error).__name__}: {error}")


def _delta(row: Row) -> Matrix:
    """The root mean square over samples of |dLoss_i/dh_t|, (time,)."""
    longest = max(len(squares) for _, squares in row.passes)
    total = np.zeros(longest)
    for samples, squares in row.passes:
        numbers = np.array(squares.tolist()) if isinstance(squares, Tensor) else gather(squares)
        total[: len(numbers)] += samples**2 * numbers
    found: Matrix = np.sqrt(total / sum(samples for samples, _ in row.passes)) * row.factor
    return found


def _squares(layer: Layer, place: Place) -> dict[str, Tensor]:
    """For each layer of a stack and each direction the sums of squares of the gradient at its states, (time,)."""
    module: Any = layer.module
    if type(module).forward not in FORWARDS:
        # What a subclass returns, and of what, is not known.
        return {}
    if module.num_layers > 1 and module.dropout and module.training:
        # Which states were dropped is not known either.
        return {}
    arrived = [one.held[0] if (one := place.arrived.get(part)) and one.held else None for part in range(3)]
    inputs, state = _inputs(place)
    with torch.no_grad():
        x, lengths, order = _padded(inputs, module)
        given, last = _aligned(arrived, inputs, module, x, order)
        start = _start(state, module, x, order)
    with unobserved(), torch.enable_grad(), torch.autocast(x.device.type, enabled=False):
        states, total = _run(module, _weights(layer, x.dtype), x, lengths, start, given, last)
        leaves = [leaf for several in states.values() for leaf in several]
        gradients = dict(zip(map(id, leaves), torch.autograd.grad(total, leaves, allow_unused=True), strict=True))
    found = {}
    for ending, several in states.items():
        own = [torch.zeros_like(leaf) if (g := gradients[id(leaf)]) is None else g for leaf in several]
        wide = torch.float32 if x.device.type == "mps" else torch.float64
        norms = torch.linalg.vector_norm(torch.stack(own), dim=(1, 2), dtype=wide)
        found[ending] = norms.square().nan_to_num(nan=torch.inf, posinf=torch.inf)
    return found


def _inputs(place: Place) -> tuple[Any, Any]:
    args, kwargs = place.call
    names = ("input", "hx")
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    return given["input"], given.get("hx")


def _padded(inputs: Any, module: Any) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """The input as (time, samples, features), the lengths of the sequences, and the order in which the module has them."""
    if isinstance(inputs, PackedSequence):
        x, lengths = pad_packed_sequence(PackedSequence(inputs.data.detach(), inputs.batch_sizes))
        return _plain(x), lengths.to(x.device), inputs.sorted_indices
    x = inputs.detach()
    if x.ndim == 2:
        return _plain(x).unsqueeze(1), None, None
    return _plain(x.transpose(0, 1) if module.batch_first else x), None, None


def _aligned(
    arrived: Sequence[Tensor | None], inputs: Any, module: Any, x: Tensor, order: Tensor | None
) -> tuple[Tensor | None, list[Tensor | None]]:
    """The gradients at the top's states, (time, samples, features), and at the last states, (layers, samples, features)."""
    given, *last = arrived
    if given is not None:
        if isinstance(inputs, PackedSequence):
            given, _ = pad_packed_sequence(PackedSequence(given, inputs.batch_sizes))
        elif given.ndim == 2:
            given = given.unsqueeze(1)
        elif module.batch_first:
            given = given.transpose(0, 1)
    ends = [end.unsqueeze(1) if end is not None and end.ndim == 2 else end for end in last]
    ends = [end.index_select(1, order) if end is not None and order is not None else end for end in ends]
    return (None if given is None else given.to(x.dtype)), [None if end is None else end.to(x.dtype) for end in ends]


def _start(state: Any, module: Any, x: Tensor, order: Tensor | None) -> list[Tensor]:
    """The states before the first time step: h, and of an LSTM c; (layers, samples, features) each."""
    rows, samples = module.num_layers * (2 if module.bidirectional else 1), x.shape[1]
    if state is None:
        widths = [module.proj_size or module.hidden_size, module.hidden_size]
        return [x.new_zeros(rows, samples, width) for width in widths]
    several = state if isinstance(state, tuple) else (state,)
    found = [(one if one.ndim == 3 else one.unsqueeze(1)).detach().to(x.dtype) for one in several]
    return [one if order is None else one.index_select(1, order) for one in found]


def _weights(layer: Layer, dtype: torch.dtype) -> Mapping[str, Tensor]:
    own = {name: parameter.detach() for name, parameter in layer.module.named_parameters(recurse=False)}
    return {name: tensor.to(dtype) for name, tensor in (own | computed(layer)).items()}


def _run(
    module: nn.RNNBase,
    weights: Mapping[str, Tensor],
    x: Tensor,
    lengths: Tensor | None,
    start: Sequence[Tensor],
    given: Tensor | None,
    last: Sequence[Tensor | None],
) -> tuple[dict[str, list[Tensor]], Tensor]:
    """Runs the layer step by step.

    Returns zeros that were added to its states, (samples, features) each, in the order of time, and the sum of what it
    returned times the gradients there. The derivative of that by a zero is the gradient at the state.
    """
    directions = 2 if module.bidirectional else 1
    added: dict[str, list[Tensor]] = {}
    total = x.new_zeros(())
    for number in range(module.num_layers):
        outputs = []
        for direction in range(directions):
            row = number * directions + direction
            suffix = f"_l{number}" + "_reverse" * direction
            states, zeros, ends = _one_way(module, weights, suffix, x, lengths, [one[row] for one in start], bool(direction))
            added[(f"[{number}]" if number else "") + " reverse" * direction] = zeros
            outputs.append(torch.stack(states))
            for end, gradient in zip(ends, last, strict=False):
                if gradient is not None:
                    total = total + (end * gradient[row]).sum()
        x = torch.cat(outputs, 2)
    return added, total if given is None else total + (x * given).sum()


def _one_way(
    module: nn.RNNBase,
    weights: Mapping[str, Tensor],
    suffix: str,
    x: Tensor,
    lengths: Tensor | None,
    start: Sequence[Tensor],
    backwards: bool,
) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """One direction of one layer: its states, the zeros added to them, and its last states.

    The state of a sequence that has ended stays as it is.
    """
    h, c = start[0], start[-1]
    zeros = [torch.zeros_like(h, requires_grad=True) for _ in x]
    states: list[Tensor] = [h] * len(x)
    for time in reversed(range(len(x))) if backwards else range(len(x)):
        new, memory = _cell(module, weights, suffix, x[time], h, c)
        new = new + zeros[time]
        if lengths is None:
            h, c = new, memory
        else:
            goes_on = (time < lengths).unsqueeze(1)
            h, c = torch.where(goes_on, new, h), torch.where(goes_on, memory, c)
        states[time] = h
    return states, zeros, [h, c]


def _cell(
    module: nn.RNNBase, weights: Mapping[str, Tensor], suffix: str, x: Tensor, h: Tensor, c: Tensor
) -> tuple[Tensor, Tensor]:
    """One step: the next h, and of an LSTM the next c."""
    names = [f"weight_ih{suffix}", f"weight_hh{suffix}", *([f"bias_ih{suffix}", f"bias_hh{suffix}"] if module.bias else [])]
    own = [weights[name] for name in names]
    functions: Any = torch._VF
    if module.mode == "LSTM":
        if not module.proj_size:
            found: tuple[Tensor, Tensor] = functions.lstm_cell(x, (h, c), *own)
            return found
        # The function wants a state as wide as its memory.
        gates = nn.functional.linear(x, own[0], *own[2:3]) + nn.functional.linear(h, own[1], *own[3:4])
        i, f, g, o = gates.chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return nn.functional.linear(o.sigmoid() * c.tanh(), weights[f"weight_hr{suffix}"]), c
    new: Tensor = getattr(functions, f"{module.mode.lower()}_cell")(x, h, *own)
    return new, c


def _plain(x: Tensor) -> Tensor:
    """In float32 at least: squares and long products of 16-bit numbers are too coarse."""
    return x if x.dtype == torch.float64 else x.float()
