"""Sums of squares of the layers' weights, of their gradients and of what the optimisers did to them, in one step."""

from collections.abc import Collection, Iterable, Sequence
from functools import partial
from math import isnan

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from gradpath.flow.backward import say
from gradpath.flow.computed import computed, owner_of
from gradpath.flow.guarded import Guard
from gradpath.flow.kinds import Layer
from gradpath.flow.norms import Scalar, plus, square_sum, square_sums
from gradpath.flow.private_torch import remove_accumulation_hook

NAN = float("nan")


class Weights:
    """|dW|^2, |db|^2, |W|^2 and |W_after - W_before|^2 of every layer in one step.

    A gradient is measured as soon as it has been made, while it is still in the cache. In a step of several backward passes
    the last measurement counts. One that no backward pass made (assigned by hand), or that an optimiser takes inside the
    pass, is measured as the optimiser finds it. A layer with several weights has the norm of all; a frozen one has no
    gradient. A weight that is computed from others counts
    as `forward` uses it, its gradient too, but not what clipping leaves of that.

    Args:
        layers: those to be measured. guard: what torch calls is called through it.
        clipping: measure |dW| once more as the optimiser found it.
        late: read all biases at once when the step is done. They are small, so this is cheaper; it is right only if nothing
            changes their gradients earlier (clipping, unscaling).
        averaged: processes average the gradients; read everything at the end of the backward pass, when they have.
    """

    def __init__(self, layers: Sequence[Layer], guard: Guard, clipping: bool, late: bool, averaged: bool) -> None:
        self.guard = guard
        self.clipping, self.late, self.averaged = clipping, late and not averaged, averaged
        self.hooks: dict[int, tuple[Tensor, RemovableHandle]] = {}
        # By the parameter's id: the squares of the latest gradients, of those that an optimiser has taken in this step, and
        # of those of the step before; of clipped gradients, of weights and of their changes.
        self.grads: dict[int, Scalar] = {}
        self.given: dict[int, Scalar] = {}
        self.clipped: dict[int, Scalar] = {}
        self.squares: dict[int, Scalar] = {}
        self.changes: dict[int, Scalar] = {}
        # The gradients of the step at weights that are computed from others.
        self.at_computed: dict[tuple[Layer, str], Tensor] = {}
        self.last: dict[int, Scalar] = {}
        self.meet(layers)

    def meet(self, layers: Sequence[Layer]) -> None:
        """Takes up the layers as they are now."""
        self.detach()
        # For each layer its weights and biases that are parameters, and the parameters of which others are computed.
        self.weights = [_plain(layer, layer.weights) for layer in layers]
        self.biases = [_plain(layer, layer.biases) for layer in layers]
        self.computed = {index: layer for index, layer in enumerate(layers) if _has_computed(layer)}
        # The layers with computed weights, by the parameters behind them.
        self.behind: dict[int, list[int]] = {}
        for index, layer in self.computed.items():
            for parameter in layer.parameters:
                self.behind.setdefault(id(parameter), []).append(index)
        self.names = {id(one): layer.name or layer.kind for layer in layers for one in layer.parameters}
        self.each = {id(weight): weight for several in self.weights for weight in several}
        biases = {id(bias): bias for several in self.biases for bias in several}
        self.late_biases = biases if self.late else {}
        self.early = self.each if self.late else self.each | biases
        self.before: dict[int, Tensor] = {}
        self.before_computed: dict[int, dict[str, Tensor]] = {}

    def attach(self) -> None:
        """Begins to measure the gradients of all that is to be trained now."""
        if self.averaged:
            return
        for number, parameter in self.early.items():
            if parameter.requires_grad and number not in self.hooks:
                hook = self.guard(partial(self._measure, number), partial(self.guard.end, layer=self.names[number]))
                handle = parameter.register_post_accumulate_grad_hook(hook)  # type: ignore[no-untyped-call]
                self.hooks[number] = parameter, handle

    def detach(self) -> None:
        for parameter, handle in self.hooks.values():
            remove_accumulation_hook(parameter, handle)
        self.hooks = {}

    def add_computed(self, layer: Layer, attribute: str, gradient: Tensor) -> None:
        """Adds what a pass brings to a weight that is computed from others. It may come in parts."""
        known = self.at_computed.get((layer, attribute))
        self.at_computed[layer, attribute] = gradient if known is None else known + gradient

    def after_pass(self) -> None:
        """Must be called when a backward pass is over."""
        if self.averaged:
            self._read(self.grads, self.early)

    @torch.no_grad()
    def before_step(self, moving: Collection[int], slow: bool) -> None:
        """Reads what an optimiser is given. `moving` are the ids of its parameters; `slow` copies the weights too."""
        self._read(self.grads, [number for number in moving if number in self.early and number not in self.grads])
        if slow:
            self.copy(moving)

    @torch.no_grad()
    def copy(self, moving: Collection[int]) -> None:
        """Copies and squares the weights that are about to move."""
        for number in moving:
            weight = self.each.get(number)
            if weight is None:
                continue
            copy = self.before.get(number)
            if copy is None or copy.shape != weight.shape or copy.dtype != weight.dtype or copy.device != weight.device:
                copy = self.before[number] = torch.empty_like(weight)
            # Each weight is squared while its copy is still in the cache.
            self.squares[number] = square_sum(copy.copy_(weight))
        for index in {index for number in moving for index in self.behind.get(number, ()) if index in self.computed}:
            now = computed(self.computed[index])
            self.before_computed[index] = {name: weight.clone() for name, weight in now.items()}

    @torch.no_grad()
    def after_step(self, moving: Collection[int], slow: bool) -> None:
        """Reads what an optimiser has done."""
        if self.clipping:
            self._read(self.clipped, [number for number in moving if number in self.each])
        self._read(self.grads, [number for number in moving if number in self.late_biases])
        self.given |= {number: self.grads.pop(number) for number in moving if number in self.grads}
        if slow:
            for number in moving:
                if number in self.each and number in self.before:
                    self.changes[number] = square_sum(self.before[number].sub_(self.each[number]))

    @torch.no_grad()
    def take(self, slow: bool) -> dict[str, list[Scalar]]:
        """The squares of the finished step, one per layer: "grad", "bias", "clipped", and if `slow` "weight", "changed".

        NaN where nothing was measured.
        """
        grads = self.grads | self.given
        numbers = {"grad": _of(self.weights, grads), "bias": _of(self.biases, grads)}
        for index, layer in self.computed.items():
            found = [square_sum(gradient) for (of, _), gradient in self.at_computed.items() if of is layer]
            numbers["grad"][index] = _total([*found, *_known(numbers["grad"][index])])
        if self.clipping:
            numbers["clipped"] = _of(self.weights, self.clipped)
        if slow:
            for number, weight in self.each.items():
                # What nobody moved is as it was.
                if number not in self.squares:
                    self.squares[number] = square_sum(weight)
            numbers |= {"weight": _of(self.weights, self.squares), "changed": _of(self.weights, self.changes)}
            for index, layer in [*self.computed.items()]:
                numbers["weight"][index], numbers["changed"][index] = self._computed(index, layer)
        return numbers

    def have_gradients(self) -> bool:
        """Whether there is a gradient at any weight, whoever made it."""
        return any(weight.grad is not None for weight in self.each.values())

    def matrix(self, index: int) -> nn.Parameter | None:
        """The layer's one weight that is a parameter; None if it has several or none."""
        return self.weights[index][0] if len(self.weights[index]) == 1 and index not in self.computed else None

    def end(self, whole: bool = True) -> None:
        """The step is over. Gradients that no optimiser has taken yet are the next one's, unless it was the `whole`."""
        self.last |= self.grads | self.given
        self.grads = {} if whole else self.grads
        self.given, self.clipped, self.squares, self.changes, self.before_computed = {}, {}, {}, {}, {}
        self.at_computed = {}

    def forget(self) -> None:
        """Forgets what was measured since the last step."""
        self.end()

    def _computed(self, index: int, layer: Layer) -> tuple[Scalar, Scalar]:
        """|W|^2 and |change|^2 of a layer with computed weights."""
        try:
            now, before = computed(layer), self.before_computed.get(index)
            if before is None:
                return _total(square_sum(weight) for weight in now.values()), NAN
            return (
                _total(square_sum(weight) for weight in before.values()),
                _total(square_sum(weight - before[name]) for name, weight in now.items()),
            )
        except Exception as error:
            del self.computed[index]
            say(f"gradpath: the weight of {layer.name} is not measured any more: {type(error).__name__}: {error}")
            return NAN, NAN

    def _measure(self, number: int, parameter: Tensor) -> None:
        # After an optimiser inside the pass there is none.
        if parameter.grad is not None:
            self.grads[number] = square_sum(parameter.grad.detach(), self.last.get(number, 1.0))

    def _read(self, into: dict[int, Scalar], numbers: Iterable[int]) -> None:
        """Reads the gradients as they are now, in one call on a device."""
        known = self.early | self.late_biases
        chosen = [number for number in numbers if known[number].grad is not None]
        into.update(zip(chosen, square_sums([known[number].grad for number in chosen]), strict=True))


def _plain(layer: Layer, of: Iterable[str]) -> list[nn.Parameter]:
    """The attributes that are parameters themselves, and not computed from some."""
    given = {**layer.weights, **layer.biases}
    return [several[0] for name in of if _is_plain(layer, name, several := given[name])]


def _has_computed(layer: Layer) -> bool:
    return any(not _is_plain(layer, name, several) for name, several in layer.weights.items())


def _is_plain(layer: Layer, name: str, parameters: Sequence[nn.Parameter]) -> bool:
    owner, attribute = owner_of(layer.module, name)
    own = dict(owner.named_parameters(recurse=False, remove_duplicate=False))
    return len(parameters) == 1 and own.get(attribute) is parameters[0]


def _of(parameters: Sequence[Sequence[nn.Parameter]], squares: dict[int, Scalar]) -> list[Scalar]:
    return [_total(squares[id(one)] for one in several if id(one) in squares) for several in parameters]


def _known(square: Scalar) -> list[Scalar]:
    return [] if isinstance(square, float) and isnan(square) else [square]


def _total(squares: Iterable[Scalar]) -> Scalar:
    """Their sum; NaN if there are none."""
    found = list(squares)
    total: Scalar = found[0] if found else NAN
    for square in found[1:]:
        total = plus(total, square)
    return total
