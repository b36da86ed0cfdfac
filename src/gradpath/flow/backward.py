"""Being told of each backward pass, with its roots, before autograd runs it.

From the loss one can walk down autograd's graph, but not from a layer up to the loss: nodes do not know who leads to them.
So whoever looks for the way of the gradient needs the roots at the pass's begin. No public way tells them:

- Hooks on tensors and nodes (`register_hook`, `register_prehook`, `register_multi_grad_hook`) run once a gradient arrives,
  when everything above has been computed and may have been freed; they do not know where the pass began.
- `queue_callback` runs at the end of a pass. `_current_graph_task_execution_order`, which is private, needs multithreading
  switched off.
- `node_creation_hook` (new in torch 2.14) calls Python for every node of every forward pass, and only on its own thread.
- A `TorchFunctionMode` sees `backward()`, and also slows every other call down, on its own thread, and changes what is
  compiled.
- Replacing `torch.autograd.backward` and `grad` misses those who imported them by name, and Dynamo's rules for both.

Both call `_engine_run_backward`, a private function that `torch.autograd` looks up at each call. It is wrapped while
somebody listens, and only then. Without it (another version of torch) the two public functions are wrapped.
"""

import functools
import inspect
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, Node

from gradpath.flow.private_torch import compile_never, compile_with, is_batched, is_in_a_pass, is_no_training

ENGINE = "_engine_run_backward"


@dataclass(frozen=True, eq=False)
class Pass:
    """A backward pass that is about to run. It keeps the graph alive: do not keep it.

    roots: the nodes from which the gradient starts; a leaf tensor has none.
    values: of the roots that are single numbers (losses), detached.
    inputs: the tensors or edges to which the pass is confined; empty if it goes to all leaves.
    accumulates: it adds to `.grad` (`backward`), and does not return the gradients (`grad`).
    create_graph: the gradients get a graph of their own. keep_graph: the graph may be run again.
    nested: it runs inside another pass (a reentrant checkpoint, a derivative taken by a hook). outer: that pass; None if it
    began before anybody listened, or if several passes run on other threads, any of which it may belong to.
    """

    roots: tuple[Node, ...]
    values: tuple[Tensor, ...]
    inputs: tuple[Tensor | GradientEdge, ...]
    accumulates: bool
    create_graph: bool
    keep_graph: bool
    nested: bool
    outer: "Pass | None"


# Is called on the thread that begins the pass. What it returns is called when the pass is over, even if that has failed.
Listener: TypeAlias = Callable[[Pass], Callable[[], None] | None]
Ending: TypeAlias = tuple[Listener, Callable[[], None]]
# From a call's arguments to what they say of its pass; None if it is one of many under vmap.
Reader: TypeAlias = Callable[..., dict[str, Any] | None]

_lock = threading.Lock()
_listeners: list[Listener] = []
_restorers: list[Callable[[], None]] = []
_said: set[str] = set()
# The passes that run now, on all threads and on this one.
_running: list[Pass] = []
_here = threading.local()


def listen(listener: Listener) -> None:
    """Calls `listener` before each backward pass, from now on until `leave`.

    It is not told of passes of `torch.func`, under vmap, on fake tensors, in a compilation or in a CUDA graph's capture. An
    exception in it, or in what it returned, ends its listening with one warning, and never reaches the caller of
    `backward()`.
    """
    with _lock:
        _listeners.append(listener)
        if not _restorers:
            _restorers.extend(_wrap_torch())


def leave(listener: Listener) -> None:
    """Ends what `listen` began; does nothing if that has ended. When nobody is left, torch is as it was."""
    with _lock:
        if listener in _listeners:
            _listeners.remove(listener)
        if not _listeners:
            for restore in _restorers:
                restore()
            _restorers.clear()


def _wrap_torch() -> list[Callable[[], None]]:
    """Wraps what begins backward passes. Calling what it returns leaves torch as it was."""
    autograd: Any = torch.autograd
    if hasattr(autograd, ENGINE):
        # `torch.autograd` has imported it by name. A tracer replaces it in both places, and restores both from one of them.
        both = getattr(autograd.graph, ENGINE, None) is getattr(autograd, ENGINE)
        return [_wrap([autograd, autograd.graph] if both else [autograd], ENGINE, _read_engine)]
    _say_once(
        f"gradpath: this torch has no {ENGINE}; a backward pass is seen only if it is called as tensor.backward, "
        "torch.autograd.backward or torch.autograd.grad"
    )
    return [
        _wrap([autograd], name, functools.partial(_read_public, inspect.signature(getattr(autograd, name))))
        for name in ("backward", "grad")
    ]


def _wrap(modules: Sequence[Any], name: str, read: Reader) -> Callable[[], None]:
    """Replaces a function, in all modules that have it, by one that tells the listeners and calls it."""
    original, active = getattr(modules[0], name), True

    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if not active:
            return original(*args, **kwargs)
        prior = compile_with(None)
        try:
            told = _begin(read, args, kwargs)
        finally:
            compile_with(prior)
        try:
            return original(*args, **kwargs)
        finally:
            if told is not None:
                compile_with(None)
                try:
                    _end(*told)
                finally:
                    compile_with(prior)

    def restore() -> None:
        nonlocal active
        # Whoever has wrapped the wrapper keeps it. From now on it only calls the original.
        active = False
        for module in modules:
            if getattr(module, name) is wrapper:
                setattr(module, name, original)

    compile_never(wrapper)
    for module in modules:
        setattr(module, name, wrapper)
    return restore


def _begin(read: Reader, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Pass, list[Ending]] | None:
    """Tells the listeners of a pass; returns what `_end` needs, None if they are not told."""
    told = _pass_of(read, args, kwargs)
    if told is None:
        return None
    endings: list[Ending] = []
    _stack().append(told)
    _running.append(told)
    try:
        for listener in tuple(_listeners):
            ending = _guarded(listener, functools.partial(listener, told))
            if ending is not None:
                endings.append((listener, ending))
    except BaseException:
        # Ctrl-C: the pass will not run.
        _end(told, endings)
        raise
    return told, endings


def _end(told: Pass, endings: Sequence[Ending]) -> None:
    _stack().remove(told)
    _running.remove(told)
    for listener, ending in reversed(endings):
        _guarded(listener, ending)


def _guarded(listener: Listener, call: Callable[[], Any]) -> Any:
    """What `call` returns; None, and the listener is told nothing more, if it fails."""
    try:
        return call()
    except Exception as error:
        leave(listener)
        say(f"gradpath: measuring has been switched off: {type(error).__name__}: {error}")
        return None


def _pass_of(read: Reader, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Pass | None:
    """The pass that a call begins; None if nobody is to be told of it, or it cannot be told."""
    try:
        if is_left_alone():
            return None
        found = read(*args, **kwargs)
        if found is None:
            return None
        outputs = found.pop("outputs")
        roots = (t.node if isinstance(t, GradientEdge) else t.grad_fn for t in outputs)
        values = tuple(t.detach() for t in outputs if isinstance(t, Tensor) and t.numel() == 1)
        stack = _stack()
        outer = stack[-1] if stack else None
        nested = outer is not None or is_in_a_pass()
        if nested and outer is None and len(_running) == 1:
            # A device's thread runs the nodes of a pass that began on another one.
            outer = _running[0]
        given = tuple(root for root in roots if root is not None)
        return Pass(roots=given, values=values, nested=nested, outer=outer, **found)
    except Exception as error:
        _say_once(f"gradpath: a backward pass could not be read, and is not measured: {type(error).__name__}: {error}")
        return None


def _read_engine(
    outputs: Sequence[Any],
    gradients: Sequence[Any],
    keep_graph: bool,
    create_graph: bool,
    inputs: Sequence[Any],
    allow_unreachable: bool,
    accumulate_grad: bool,
) -> dict[str, Any] | None:
    """What a call of `_engine_run_backward` says of its pass."""
    if any(isinstance(g, Tensor) and is_batched(g) for g in gradients):
        return None
    return {
        "outputs": outputs,
        "inputs": tuple(inputs),
        "accumulates": accumulate_grad,
        "create_graph": create_graph,
        "keep_graph": keep_graph,
    }


def _read_public(signature: inspect.Signature, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
    """The same of a call of `torch.autograd.backward` or `torch.autograd.grad`."""
    given = signature.bind(*args, **kwargs).arguments
    if given.get("is_grads_batched"):
        return None
    create_graph, keep_graph = given.get("create_graph", False), given.get("retain_graph")
    return {
        "outputs": _several(given.get("outputs", given.get("tensors"))),
        "inputs": _several(given.get("inputs")),
        "accumulates": "tensors" in given,
        "create_graph": create_graph,
        "keep_graph": create_graph if keep_graph is None else keep_graph,
    }


def _several(given: Any) -> tuple[Any, ...]:
    """A tensor, an edge, a sequence or a dict of them, or None, as a tuple."""
    if given is None:
        return ()
    if isinstance(given, Tensor | GradientEdge):
        return (given,)
    return tuple(given.values() if isinstance(given, dict) else given)


def is_left_alone() -> bool:
    """Whether what runs now is no training: a transform of functions, a trace, a capture."""
    return getattr(_here, "unobserved", False) or is_no_training()


@contextmanager
def unobserved() -> Iterator[None]:
    """Derivatives that are computed inside, on this thread, are not told of."""
    _here.unobserved = True
    try:
        yield
    finally:
        _here.unobserved = False


def _stack() -> list[Pass]:
    """The passes that this thread runs now, one inside the other."""
    if not hasattr(_here, "stack"):
        _here.stack = []
    stack: list[Pass] = _here.stack
    return stack


def _say_once(text: str) -> None:
    if text not in _said:
        _said.add(text)
        say(text)


def say(text: str) -> None:
    """Warns; where warnings are errors it prints, because nothing of ours may end a training."""
    try:
        warnings.warn(text, RuntimeWarning, stacklevel=2)
    except RuntimeWarning:
        print(text, file=sys.stderr)
