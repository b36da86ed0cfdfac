"""What passes through the layers of a network in a step: gradients at the pre-activations, and activations."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from gradpath.errors import nearest
from gradpath.flow.activation_sums import Activations, sums
from gradpath.flow.backward import Pass, say
from gradpath.flow.cleared import cleared_since_the_pass
from gradpath.flow.computed import computed_before, parametrizations
from gradpath.flow.elementwise import is_made_of
from gradpath.flow.guarded import Guard
from gradpath.flow.kinds import Layer, bare, is_scripted, layers, unshaped
from gradpath.flow.leftovers import Leftovers
from gradpath.flow.measuring import Measuring
from gradpath.flow.meters import Meter, stamp_of
from gradpath.flow.norms import Scalar
from gradpath.flow.places import Place, Seen, in_step
from gradpath.flow.saturation import Shape, is_activation, shape_of


@dataclass(slots=True)
class Use:
    """One call of a layer; it counts once a gradient comes back to it.

    address: of its input in memory. shape: shape of its output. unit_dim: the dimension of its units, from the end.
    """

    address: int
    shape: torch.Size
    unit_dim: int
    activations: Activations | None = None


class Watch:
    """Follows every layer of `model`, and the activation behind each, while it is attached.

    A layer's activation is the first activation module called after it. If there is none (a function such as `F.relu`), it
    is the input of the next layer. Passes without gradients (`torch.no_grad`) are not seen, and a forward pass counts only
    once its backward pass comes. A layer used several times counts as one layer that has the units of all its uses.
    What is frozen, with all below it, is not measured: nothing is made to require a gradient.
    A gradient that was thrown away (`zero_grad`) before the step belongs to no step.

    Args:
        model: any module with layers.
        guard: what torch calls is called through it (None: one of its own).
        keep: hold on to the latest activations, for histograms.
        samples, batch_dim: the number of samples in a batch, or the dimension of the model's input that counts them.
        hook_each: as for `Measuring`. at: patterns of module names, such as "encoder.layer.*".
        on_start, on_pass: called before and after each pass. on_computed: called with the gradient at each weight that is
            computed from other parameters, its layer and its attribute.

    Raises:
        ValueError: there is no layer, or one has no shape yet.
    """

    def __init__(
        self,
        model: nn.Module,
        guard: Guard | None = None,
        keep: bool = False,
        *,
        samples: int | None = None,
        batch_dim: int = 0,
        hook_each: bool = False,
        at: str | Collection[str] | None = None,
        on_start: Callable[[], None] | None = None,
        on_pass: Callable[[], None] | None = None,
        on_computed: Callable[[Layer, str, Tensor], None] | None = None,
    ) -> None:
        self.model, self.keep, self.samples, self.on_start, self.on_pass = model, keep, samples, on_start, on_pass
        self.on_computed = on_computed
        for name in unshaped(model):
            raise ValueError(f"probe: {name} has no shape yet; run a batch through the model first")
        self.meters = [Meter(layer) for layer in _watched(model)]
        if not self.meters:
            raise ValueError("probe: the model has no layer with weights to watch")
        self.shapes = {module: shape_of(module) for module in model.modules() if is_activation(module)}
        self.activations, self.last, self.node = False, None, None
        # The passes since the step began, how many of them there were when an optimiser last took gradients, and the layers
        # whose gradients have been taken.
        self.passes: list[Seen] = []
        self.taken = 0
        self.done: set[Layer] = set()
        self.leftovers = Leftovers()
        # How often the model has been found to have other layers than before.
        self.version = 0
        self.measuring = Measuring(
            model, {}, self._on_pass, follow=False, on_begin=self._on_begin, on_call=self._on_call, on_end=self._on_end,
            batch_dim=batch_dim, hook_each=hook_each, guard=guard, on_unknown=self._on_unknown,
            at=None if at is None else _named(model, at),
        )  # fmt: skip
        self._meet()

    last: Use | None
    # The node of the output of the layer that was called last.
    node: Any

    def attach(self) -> None:
        """Starts to watch gradients; does nothing if it already watches them."""
        self.measuring.attach()

    def watch_activations(self, watching: bool) -> None:
        """Starts or stops to watch activations too."""
        self.activations, self.last, self.node = watching, None, None

    def detach(self) -> None:
        """Leaves the model as it was."""
        self.activations = False
        self.leftovers.forget()
        self.measuring.detach()
        self.clear()

    def clear(self) -> None:
        """Forgets what was seen."""
        self.passes, self.taken, self.done, self.last, self.node = [], 0, set(), None, None
        for meter in self.meters:
            meter.clear()
            meter.stamped = False

    def end(self, upto: int | None = None) -> None:
        """Forgets the passes of the finished step: all, or the first `upto`."""
        later = [] if upto is None else self.passes[upto:]
        self.clear()
        self.passes = later

    def add_up(self, chosen: Collection[Meter], passes: int | None = None, upto: int | None = None) -> int:
        """Sums up what the step's passes showed of the `chosen` layers. Returns the number of batches among them.

        Args:
            passes: what the loss is divided by (None: the number of batches). upto: only the first passes belong to it.
        """
        of_layer = {meter.layer: meter for meter in chosen}
        for meter in chosen:
            meter.clear()
        batches = samples = 0
        done: set[Place] = set()
        for seen, own in in_step(self.passes[:upto]):
            mine = [(place, of_layer[place.layer]) for place in seen.places if place.layer in of_layer]
            size = self.samples or seen.samples
            if mine and own:
                batches, samples = batches + 1, samples + size
            for place, meter in mine:
                if place not in done:
                    meter.add(place, size)
            done.update(seen.places)
        for meter in chosen:
            if meter.entries:
                meter.delta, meter.samples = (passes or batches) ** 2 * meter.delta, samples
        return batches

    def sums_at(self, joins: Collection[Place], passes: int) -> list[dict[str, Scalar]]:
        """The same numbers for places that are no layers' outputs."""
        found = []
        for join in joins:
            size = next((self.samples or seen.samples for seen in self.passes if join in seen.places), 1)
            assert join.square is not None
            delta = (size * passes) ** 2 * join.square
            found.append({"delta": delta, "samples": size, "entries": join.entries})
        return found

    def _meet(self) -> None:
        others: dict[nn.Module, Callable[[nn.Module, Any], None]] = {
            module: partial(self._on_activation, shape) for module, shape in self.shapes.items()
        }
        self.hooked: set[Layer] = set()
        self.of_parameter: dict[int, list[Meter]] = {}
        for meter in self.meters:
            for parameter in meter.layer.parameters:
                self.of_parameter.setdefault(id(parameter), []).append(meter)
        for meter in self.meters if self.on_computed else ():
            others |= {of: partial(self._on_weight, meter.layer, name) for name, of in parametrizations(meter.layer).items()}
            if computed_before(meter.layer):
                self.hooked.add(meter.layer)
        called = [meter.layer for meter in self.meters if meter.layer.kind != "parameter"]
        self.measuring.meet({layer.module: layer for layer in called}, others)
        # What a script does is in autograd's graph at first only, before it is fused.
        bare = (of for meter in self.meters if (of := meter.layer).kind == "parameter" and not is_scripted(of.module))
        self.measuring.bare = {id(parameter): layer for layer in bare for parameter in layer.parameters}

    def _on_unknown(self, module: nn.Module) -> None:
        """Modules were exchanged. A layer that has the name of an earlier one takes its place."""
        known = {meter.name: meter for meter in self.meters}
        for layer in _watched(self.model):
            meter = known.get(layer.name or layer.kind)
            if meter is None:
                self.meters.append(Meter(layer))
            elif meter.layer.module is not layer.module:
                meter.layer, meter.shape = layer, Shape()
        for new in self.model.modules():
            if new not in self.shapes and is_activation(new):
                self.shapes[new] = shape_of(new)
        self.version += 1
        self._meet()

    def _on_weight(self, layer: Layer, attribute: str, module: nn.Module, weight: Any) -> None:
        """A weight was computed from other parameters."""
        assert self.on_computed
        self.measuring.hook_computed(weight, layer, partial(self.on_computed, layer, attribute))

    def _on_call(self, place: Place, args: tuple[Any, ...], kwargs: dict[str, Any], h: Tensor) -> None:
        if place.layer in self.hooked:
            for attribute, weight in computed_before(place.layer).items():
                self._on_weight(place.layer, attribute, place.layer.module, weight)
        if not self.activations:
            return
        assert place.layer
        # A sparse matrix (who is whose neighbour) is no activation, and has no address.
        dense = (one for one in (*args, *kwargs.values()) if isinstance(one, Tensor) and one.layout == torch.strided)
        inputs = next(dense, None)
        address, last = inputs.data_ptr() if inputs is not None else 0, self.last
        # If no activation module was called since the last layer, this layer's input is the last layer's activation, if it
        # was made of that layer's output entry by entry, and was not the last layer's input too.
        if last is not None and inputs is not None and self._is_activation(last, address, inputs):
            last.activations = sums(inputs.detach(), Shape(), last.unit_dim, self.keep)
        if place.layer.sizes.units is None:
            self.last = self.node = None
            return
        # Not kept with the call: the node's metadata keep that, and a node that keeps itself is never freed.
        self.node = h.grad_fn
        self.last = place.seen = Use(address, h.shape, place.layer.sizes.unit_dim)

    def _is_activation(self, last: Use, address: int, inputs: Tensor) -> bool:
        """Whether a layer's input is the activation behind the layer that was called last, a function's result."""
        unseen = last.activations is None and address != last.address
        return unseen and inputs.shape == last.shape and is_made_of(inputs.grad_fn, self.node)

    def _on_activation(self, shape: Shape, module: nn.Module, outputs: Any) -> None:
        last = self.last
        if not self.activations or last is None or last.activations is not None or not isinstance(outputs, Tensor):
            return
        try:
            last.activations = sums(outputs.detach(), shape, last.unit_dim, self.keep)
        except Exception as error:
            # Its layer is measured without the activation.
            self.shapes.pop(module, None)
            self._meet()
            say(f"gradpath: {type(module).__name__} is not measured any more: {type(error).__name__}: {error}")

    def _on_end(self) -> None:
        # No activation of a later call belongs to the last layer of this one.
        self.last = self.node = None

    def _on_begin(self, told: Pass) -> None:
        """Forgets gradients that were thrown away since an earlier pass of the step."""
        if self.on_start:
            self.on_start()
        if told.accumulates:
            self.leftovers.before_pass()
        stamped = [meter for meter in self.meters if meter.stamped]
        gone = {meter.layer for meter in stamped if meter.was_thrown_away()}
        gone |= {meter.layer for meter in cleared_since_the_pass(stamped)}
        for index, seen in enumerate(self.passes if gone else ()):
            # What an optimiser has taken is the step's, whatever comes after it.
            lost = gone - self.done if index < self.taken else gone
            kept = {place: None for place in seen.places if place.layer not in lost}
            seen.places = kept if any(place.layer for place in kept) else {}

    def moved(self, moving: Collection[int]) -> set[Meter]:
        """The layers with a parameter among these, given by their ids, which an optimiser moves."""
        found = {meter for number in moving for meter in self.of_parameter.get(number, ())}
        for meter in found:
            meter.held = moving
        return found

    def take(self, meters: Collection[Meter]) -> None:
        """Optimisers have taken the gradients of these layers."""
        self.taken = len(self.passes)
        self.done |= {meter.layer for meter in meters}
        self.leftovers.after_step(meters)

    def _on_pass(self, seen: Seen) -> None:
        self.passes.append(seen)
        reached = {place.layer for place in seen.places}
        self.leftovers.after_pass(reached)
        for meter in self.meters:
            if meter.layer in reached:
                meter.stamped, meter.stamp = True, stamp_of(meter.parameter)
        if self.on_pass:
            self.on_pass()


def _watched(model: nn.Module) -> list[Layer]:
    """The layers, and the weights that functions use."""
    found = layers(model)
    return [*found, *bare(model, found)]


def _named(model: nn.Module, patterns: str | Collection[str]) -> dict[nn.Module, str]:
    """The modules whose names match one of several patterns. `*` matches within a name's part, not over a dot.

    Raises:
        ValueError: a pattern matches none.
    """
    names = {name: module for name, module in model.named_modules() if name}
    several = [patterns] if isinstance(patterns, str) else patterns
    found: dict[nn.Module, str] = {}
    for pattern in several:
        wanted = re.compile(r"[^.]*".join(map(re.escape, pattern.split("*"))))
        matching = {module: name for name, module in names.items() if wanted.fullmatch(name)}
        if not matching:
            raise ValueError(f"probe: at={pattern}: no module has such a name.{nearest(pattern, names)}")
        found |= matching
    if not found:
        raise ValueError("probe: at: names no module")
    return found
