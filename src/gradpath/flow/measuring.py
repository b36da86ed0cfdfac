"""The size of the gradient at every layer's output and at every station on its way, in any network, pass by pass.

A hook on forward calls hangs a hook on autograd's node of a layer's output, and leaves a mark there. When a backward pass
begins, the graph can be walked from its roots: the marks in it are found, the ways are read from it, and hooks are hung on
the nodes of the other stations. Nothing is left in the modules and nothing is kept between steps, so copies, files and other
passes know nothing of it. No tensor is changed or made to require a gradient.
"""

import itertools
import threading
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any
from weakref import ref

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook
from torch.utils.hooks import RemovableHandle

from gradpath.flow.backward import Pass, is_left_alone, leave, listen, say
from gradpath.flow.chosen import Chosen
from gradpath.flow.following import Marks, Plan, follow, leads_to, node_of
from gradpath.flow.functional import places_of
from gradpath.flow.guarded import Guard
from gradpath.flow.kinds import Layer, outputs_of
from gradpath.flow.norms import Scalar, square_sum
from gradpath.flow.places import Place, Seen
from gradpath.flow.private_torch import remove_forward_hook
from gradpath.flow.samples import samples_in
from gradpath.flow.strangers import Strangers
from gradpath.flow.ways import Graph

# Outputs of at most this many numbers are kept until the pass begins; a larger one is looked at if somebody else keeps it.
SMALL = 2**20


class Measuring:
    """Measures each backward pass through the layers of `model` between `attach` and `detach`.

    A derivative that gets a graph of its own (a gradient penalty) is not measured; the pass that goes through it is. Passes
    inside another one (reentrant checkpoints) are parts of it. Passes that are confined to tensors of which none is a
    parameter of the model (a saliency map) are left alone. An error while measuring switches off the layer where it came up,
    with one warning, never the training.

    Args:
        model: any module.
        layers: those to be measured, by their modules.
        on_pass: called after each pass that reached a layer.
        follow: find the ways of the gradient, and look at data and outputs.
        on_begin: called before each pass. on_call: called with the place, the arguments and the output of each measured call
            of a layer. others: what is called with the outputs of other modules of the model. on_end: called when the
            model's own call is over.
        batch_dim: the dimension of the model's input that counts samples.
        hook_each: hang a hook on each module instead of one on all modules. Torch warns of those where it has compiled one.
        guard: what torch calls is called through it (None: one of its own, which ends this measuring).
        on_unknown: called with a module of no known part, which may have become one.
        at: modules whose outputs are the places of the one way, with their names, instead of those that are found.
    """

    def __init__(
        self,
        model: nn.Module,
        layers: Mapping[nn.Module, Layer],
        on_pass: Callable[[Seen], None] | None = None,
        *,
        follow: bool = True,
        on_begin: Callable[[Pass], None] | None = None,
        on_call: Callable[[Place, tuple[Any, ...], dict[str, Any], Tensor], None] | None = None,
        on_end: Callable[[], None] | None = None,
        others: Mapping[nn.Module, Callable[[nn.Module, Any], None]] | None = None,
        batch_dim: int = 0,
        hook_each: bool = False,
        guard: Guard | None = None,
        on_unknown: Callable[[nn.Module], None] | None = None,
        at: Mapping[nn.Module, str] | None = None,
    ) -> None:
        self.at = Chosen(at or {})
        self.guard = guard or Guard(self.detach)
        self.model, self.follow, self.batch_dim, self.hook_each = model, follow, batch_dim, hook_each
        self.on_pass, self.on_begin, self.on_call = on_pass, on_begin, on_call
        self.on_end, self.on_unknown = on_end, on_unknown
        self.meet(layers, others or {})
        self.handles: list[RemovableHandle] = []
        self.marks, self.numbers = Marks(), itertools.count()
        # The passes that run, the innermost last, and those of them that are told apart.
        self.stack: list[Plan] = []
        self.plans: dict[Pass, Plan] = {}
        # Places of calls since the model's last one, and layers at which measuring failed.
        self.recent: list[Place] = []
        # Weights that belong to no layer; the samples of the model's latest call; whether it has been told that none counts.
        self.bare: Mapping[int, Layer] = {}
        self.samples: int | None = None
        self.told = False
        # Whether following the ways has failed.
        self.lost = False
        # The output of the layer that was called last.
        self.latest: Callable[[], Tensor | None] | None = None
        # Layers in the order in which they were first called.
        self.called: dict[Layer, None] = {}
        # The threads on which layers are called. Others train other models.
        self.threads: set[int] = set()
        # Layers from which a gradient was expected.
        self.placed: set[Layer | None] = set()
        self.off: set[Layer | None] = set()
        # The latest sum of squares of each layer, which tells `square_sum` what to expect.
        self.last: dict[Layer | None, Scalar] = {}

    def meet(self, layers: Mapping[nn.Module, Layer], others: Mapping[nn.Module, Callable[[nn.Module, Any], None]]) -> None:
        """Takes up the modules of the model as they are now."""
        named = dict.fromkeys(self.at.modules, lambda module, outputs: None)
        self.modules: dict[nn.Module, Any] = {**dict.fromkeys(self.model.modules()), **named, **others, **layers}
        # A module that is called need not be hashable.
        self.parts = {id(module): part for module, part in self.modules.items()}
        self.parameters = {id(parameter) for parameter in self.model.parameters()}
        self.strangers = Strangers(self.model)

    def attach(self) -> None:
        """Starts to measure; does nothing if it has."""
        if not self.handles:
            if self.hook_each:
                parts = [module for module, part in self.modules.items() if part is not None or module is self.model]
                self.handles = [part.register_forward_hook(self.guard(self._on_forward), with_kwargs=True) for part in parts]
            else:
                self.handles = [register_module_forward_hook(self.guard(self._on_forward), with_kwargs=True)]
            self.listener = self.guard(self._on_backward)
            listen(self.listener)

    def detach(self) -> None:
        """Ends the measuring, but not that of a pass that runs."""
        if self.handles:
            for handle in self.handles:
                remove_forward_hook(handle)
            self.handles, self.recent = [], []
            leave(self.listener)

    def _on_forward(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], outputs: Any) -> None:
        part = self.parts.get(id(module))
        if part is None and module is not self.model:
            if self.on_unknown and id(module) not in self.parts and self.strangers.belongs(module):
                # It was put into the model after the measuring began.
                self.on_unknown(module)
                if id(module) in self.parts:
                    self._on_forward(module, args, kwargs, outputs)
            return
        if isinstance(part, Layer):
            self.called.setdefault(part)
            self.threads.add(threading.get_ident())
        if not torch.is_grad_enabled() or is_left_alone():
            return
        try:
            if isinstance(part, Layer):
                self._on_layer(part, args, kwargs, outputs)
            elif part is not None:
                part(module, outputs)
            if self.follow and module in self.at:
                self._on_chosen(module, outputs)
            if module is self.model:
                self._on_model(args, kwargs)
        except Exception as error:
            self._give_up(part if isinstance(part, Layer) else None, error, type(module).__name__)
            self.parts[id(module)] = None

    def _on_layer(self, layer: Layer, args: tuple[Any, ...], kwargs: dict[str, Any], outputs: Any) -> None:
        # What needs no gradient is frozen, with all below it, and takes no part in training.
        given = [one for one in outputs_of(outputs) if one.grad_fn is not None]
        if layer in self.off or not given:
            return
        h = given[0]
        dim = self.batch_dim if h.ndim > self.batch_dim else 0
        place = Place(layer, next(self.numbers), h.shape[dim] if h.ndim > 1 else 1)
        if self.follow:
            place.look_at((*args, *(value for name, value in kwargs.items() if "mask" not in name)))
            # Nothing large is kept alive.
            kept = h.detach()
            self.latest = (lambda: kept) if h.numel() <= SMALL else ref(h)
        # A hook on the node sees the gradient that flows on at h: summed over all its uses, and as the user's hooks left it.
        # A hook on the tensor would run before the user's, and would be called for `autograd.grad(..., h)` as well.
        for part, tensor in enumerate(given):
            self._hook_output(tensor, place, part)
        self.recent.append(place)
        if self.follow and layer.trains:
            self.placed.add(layer)
            place.call = (args, kwargs) if layer.kind == "recurrent" else None
            for tensor in given:
                self.marks.put(node_of(tensor, place)[0], place)
        if self.on_call:
            self.on_call(place, args, kwargs, h)

    def _on_chosen(self, module: nn.Module, outputs: Any) -> None:
        """Measures the gradient at a place that the user has named."""
        given = [one for one in outputs_of(outputs) if one.grad_fn is not None]
        if given:
            place = self.at.place(module, next(self.numbers))
            for part, tensor in enumerate(given):
                self._hook_output(tensor, place, part)

    def _on_model(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        samples = samples_in((args, kwargs), self.batch_dim)
        if samples is None and self.batch_dim and not self.told:
            self.told = True
            say(f"gradpath: batch_dim={self.batch_dim}: no input of the model has such a dimension; the first one is taken")
        self.samples = samples
        for place in self.recent:
            place.samples = samples
        self.recent = []
        if self.on_end:
            self.on_end()

    def _on_backward(self, told: Pass) -> Callable[[], None]:
        outer = self.plans.get(told.outer) if told.outer else None
        # What runs on another thread, for another model, must not even be looked at.
        if not outer and threading.get_ident() not in self.threads and not leads_to(told.roots, self.parameters):
            return lambda: None
        handles: list[RemovableHandle] = []
        if (told.create_graph and not told.accumulates) or not self._trains(told) or (outer and outer.seen is None):
            plan = Plan(None)
        else:
            if not outer:
                self.recent = []
                self.at.begin_pass()
                self.strangers.begin_pass()
                if self.on_begin:
                    self.on_begin(told)
            plan = Plan(outer.seen if outer else Seen(), calls=outer.calls if outer else {})
            assert plan.seen
            plan.seen.keeps |= told.keep_graph
            if self.follow and not self.lost:
                handles = self._follow(told, plan, outer)
        self.plans[told] = plan
        self.stack.append(plan)
        return self.guard(partial(self._finish, told, plan, handles), always=True)

    def _follow(self, told: Pass, plan: Plan, outer: Plan | None) -> list[RemovableHandle]:
        """Finds the ways of a pass, and looks at what it begins from."""
        assert plan.seen
        try:
            if not outer:
                plan.seen.losses = [value.item() if value.is_cpu else value for value in told.values]
                h = self.latest() if self.latest else None
                plan.seen.outputs = None if h is None else square_sum(h.detach())
                self.latest = None
            if self.at:
                plan.seen.chosen = True
                return []
            return follow(told.roots, plan, outer, self.marks, self._hook, self._mark_products)
        except Exception as error:
            self.lost = True
            say(f"gradpath: the ways of the gradient are not followed any more: {type(error).__name__}: {error}")
            return []

    def _mark_products(self, graph: Graph) -> None:
        """Measures the gradient at the products with weights that belong to no layer."""
        if self.bare:
            for node, place in places_of(graph, self.bare, self.marks.get, lambda: next(self.numbers), self.samples):
                self.marks.put(node, place)
                self.placed.add(place.layer)
                self._hook(node, place)

    def _trains(self, told: Pass) -> bool:
        """Whether a pass may bring gradients to the model's parameters."""
        return not told.inputs or any(id(given) in self.parameters for given in told.inputs)

    def _hook(self, node: Any, place: Place, part: int = 0, number: int | None = None) -> RemovableHandle:
        """Measures the gradient at a node: at its output `number`, which is `part` of the place, or at all of them."""
        measure = partial(self._on_gradient, place, part, number)
        handle: RemovableHandle = node.register_prehook(self.guard(measure, partial(self._lose, place)))
        return handle

    def _hook_output(self, tensor: Tensor, place: Place, part: int) -> None:
        """Measures the gradient at one tensor; its node may have made others too."""
        node, number = node_of(tensor, place)
        self._hook(node, place, part, number)

    def hook_computed(self, weight: Tensor, layer: Layer, told: Callable[[Tensor], None]) -> None:
        """Calls `told` with the gradient of each measured pass at a weight of a layer that is computed from others."""
        node: Any = weight.grad_fn
        number = weight.output_nr

        def on_gradient(gradients: tuple[Tensor | None, ...]) -> None:
            gradient = gradients[number]
            if gradient is not None and self.stack and self.stack[-1].seen is not None:
                told(gradient.detach())

        if node is not None:
            node.register_prehook(self.guard(on_gradient, partial(self.guard.end, layer=layer.name)))

    def _on_gradient(self, place: Place, part: int, number: int | None, gradients: tuple[Tensor | None, ...]) -> None:
        seen = self.stack[-1].seen if self.stack else None
        if seen is None or place.layer in self.off:
            return
        own = gradients if number is None else gradients[number : number + 1]
        arrived = [gradient.detach() for gradient in own if gradient is not None]
        if not arrived:
            return
        place.take(part, arrived, seen.keeps, self.last.get(place.layer, 1.0))
        if place.layer:
            self.last[place.layer] = place.arrived[part].square
        seen.places[place] = None

    def _lose(self, place: Place, error: Exception) -> None:
        self._give_up(place.layer, error, place.name)

    def _finish(self, told: Pass, plan: Plan, handles: Collection[RemovableHandle]) -> None:
        for handle in handles:
            handle.remove()
        del self.plans[told]
        self.stack.remove(plan)
        seen = plan.seen
        if seen is None or any(other.seen is seen for other in self.stack) or not seen.places:
            return
        seen.order()
        if self.on_pass and self.guard.broken is None:
            self.on_pass(seen)

    def _give_up(self, layer: Layer | None, error: Exception, name: str) -> None:
        """Measures a layer no more."""
        if layer:
            self.off.add(layer)
        say(f"gradpath: {(layer and layer.name) or name} is not measured any more: {type(error).__name__}: {error}")
