"""Being told of backward passes: every way to begin one, and torch as it was before and after."""

import gc
import subprocess
import sys
import textwrap
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge
from torch.utils.checkpoint import checkpoint

from gradpath.flow import backward
from gradpath.flow.backward import ENGINE, Pass, leave, listen

PLACES = [(torch.autograd, ENGINE), (torch.autograd.graph, ENGINE), (torch.autograd, "backward"), (torch.autograd, "grad")]
UNTOUCHED = [getattr(module, name) for module, name in PLACES]


@contextmanager
def listening(listener: Callable[[Pass], Any] | None = None) -> Iterator[list[Pass]]:
    """The passes that were told of. Torch is the same before and after."""
    passes: list[Pass] = []

    def keep(told: Pass) -> Any:
        passes.append(told)
        return listener(told) if listener else None

    listen(keep)
    try:
        yield passes
    finally:
        leave(keep)
        if not backward._listeners:
            assert [getattr(module, name) for module, name in PLACES] == UNTOUCHED


@pytest.fixture(params=["engine", "public"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Listening with the private function, and as if torch had none."""
    if request.param == "public":
        monkeypatch.setattr(backward, "ENGINE", "no_such_function")
        monkeypatch.setattr(backward, "_said", set())
        warnings.filterwarnings("ignore", "gradpath: this torch has no")
    yield request.param
    assert backward._running == backward._stack() == []


def weight(*values: float) -> Tensor:
    return torch.tensor(values or (1.0, 2.0), requires_grad=True)


def test_what_is_told_of_each_way_to_begin_a_pass(way: str) -> None:
    w = weight()
    with listening() as passes:
        (loss := w.square().sum()).backward(retain_graph=True)
        torch.autograd.backward([loss, w.sum()], inputs=[w])
        y = w * 3
        torch.autograd.grad(y.sum(), {"w": w}, retain_graph=True)
        torch.autograd.grad([y.sin().sum()], y, create_graph=True)[0].sum().backward(retain_graph=True)
        torch.autograd.grad(get_gradient_edge(y), get_gradient_edge(w), torch.ones(2))
        with warnings.catch_warnings(action="ignore"):
            (w * 2).sum().backward(create_graph=True)
        w.backward(torch.ones(2))
    assert passes[0].roots == (loss.grad_fn,)
    assert [p.accumulates for p in passes] == [True, True, False, False, True, False, True, True]
    assert [p.keep_graph for p in passes] == [True, False, True, True, True, False, True, False]
    assert [p.create_graph for p in passes] == [False, False, False, True, False, False, True, False]
    assert [len(p.roots) for p in passes] == [1, 2, 1, 1, 1, 1, 1, 0]
    assert [[t is w for t in p.inputs] for p in passes] == [[], [True], [True], [False], [], [False], [], []]
    assert passes[5].roots == (y.grad_fn,)
    assert not any(p.nested or p.outer for p in passes)


def test_gradients_are_the_same_bits_with_a_listener(way: str) -> None:
    def gradients() -> list[Tensor]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
        model(torch.randn(5, 3)).square().mean().backward()
        return [p.grad for p in model.parameters()]

    expected = gradients()
    with listening(lambda told: [root.name() for root in told.roots] and None) as passes:
        found = gradients()
    assert len(passes) == 1
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_what_a_listener_returns_is_called_when_the_pass_is_over(way: str) -> None:
    w, course = weight(), []
    w.register_hook(lambda g: course.append("gradient"))

    def told(_: Pass) -> Callable[[], None]:
        course.append("begin")
        return lambda: course.append("end")

    with listening(told):
        w.sum().backward()
        w.square().sum().backward()
    assert course == ["begin", "gradient", "end"] * 2


def test_an_exception_of_the_users_goes_through_unchanged(way: str) -> None:
    w, ended, mine = weight(), [], KeyError("mine")

    def bad(_: Tensor) -> None:
        raise mine

    with listening(lambda _: lambda: ended.append(True)):
        w.register_hook(bad)
        with pytest.raises(KeyError) as caught:
            w.sum().backward()
        assert caught.value is mine
        with pytest.raises(RuntimeError, match="does not require grad"):
            torch.ones(2).sum().backward()
        with pytest.raises(RuntimeError, match="scalar outputs"):
            weight().square().backward()
        with pytest.raises(RuntimeError, match="appears to not have been used"):
            torch.autograd.grad(weight().sum(), weight())
    # Where autograd refuses the arguments before any pass begins, there is none to be told of.
    assert len(ended) >= 3 - (way == "engine")


@pytest.mark.parametrize("late", [False, True], ids=["in the call", "at the end"])
def test_an_exception_of_a_listener_never_reaches_the_training(way: str, late: bool) -> None:
    w = weight()

    def bad(_: Pass) -> Callable[[], None] | None:
        return (lambda: 1 / 0) if late else 1 / 0  # type: ignore[return-value]

    with listening(bad) as passes, listening() as others:
        with pytest.warns(RuntimeWarning, match="switched off: ZeroDivisionError") as said:
            w.sum().backward()
        w.sum().backward()
    assert torch.equal(w.grad, torch.full((2,), 2.0))
    assert (len(said), len(passes), len(others)) == (1, 1, 2)


def test_where_warnings_are_errors_the_word_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    w = weight()
    with listening(lambda _: 1 / 0):
        w.sum().backward()
    assert "switched off" in capsys.readouterr().err
    assert w.grad is not None


def test_ctrl_c_in_a_listener_ends_the_training() -> None:
    def interrupted(_: Pass) -> None:
        raise KeyboardInterrupt

    with listening(interrupted), pytest.raises(KeyboardInterrupt):
        weight().sum().backward()
    assert backward._running == backward._stack() == []


def test_a_reentrant_checkpoint_belongs_to_the_outer_pass(way: str) -> None:
    inner = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    x = weight()
    with listening() as passes:
        y = checkpoint(lambda z: checkpoint(inner, z, use_reentrant=True), x, use_reentrant=True)
        y.sum().backward()
        weight().sum().backward()
    outer, one, two, later = passes
    assert not outer.nested
    assert one.nested
    assert two.nested
    assert (outer.outer, one.outer, two.outer) == (None, outer, one)
    assert not later.nested


def test_a_pass_inside_one_that_began_before_anybody_listened(way: str) -> None:
    w, passes = weight(), []
    mine = passes.append

    def inside(_: Tensor) -> None:
        listen(mine)
        with torch.enable_grad():
            weight().sum().backward()

    w.register_hook(inside)
    w.sum().backward()
    weight().sum().backward()
    leave(mine)
    assert [(p.nested, p.outer) for p in passes] == [(True, None), (False, None)]


def test_a_pass_on_another_thread_is_told_there(way: str) -> None:
    threads: list[int] = []
    begun, done = threading.Event(), threading.Event()

    def other() -> None:
        begun.wait(10)
        weight().sum().backward()
        done.set()

    def in_the_middle(_: Tensor) -> None:
        begun.set()
        done.wait(10)

    thread = threading.Thread(target=other)
    with listening(lambda _: threads.append(threading.get_ident())) as passes:
        thread.start()
        w = weight()
        w.register_hook(in_the_middle)
        w.sum().backward()
        thread.join()
    assert threads == [threading.get_ident(), thread.ident]
    # It runs while another pass runs, but not inside it.
    assert not any(p.nested for p in passes)


def test_functions_of_functions_and_traces_are_left_alone(way: str) -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.fx.experimental.proxy_tensor import make_fx

    def derivative(a: Tensor) -> Tensor:
        a = a.detach().requires_grad_()
        return torch.autograd.grad(a.square().sum(), a)[0]

    w = weight()
    # Torch itself warns on the way.
    with warnings.catch_warnings(action="ignore"), listening() as passes:
        torch.func.vmap(torch.func.grad(lambda v: v.square().sum()))(torch.ones(3, 2))
        torch.func.jacrev(torch.square)(torch.ones(2))
        torch.func.hessian(lambda v: v.pow(3).sum())(torch.ones(2))
        torch.autograd.grad(w.square(), w, torch.eye(2), is_grads_batched=True)
        torch.autograd.functional.jacobian(torch.square, torch.ones(2), vectorize=True)
        with FakeTensorMode():
            torch.ones(2, requires_grad=True).sum().backward()
        make_fx(derivative)(torch.ones(2))
        assert passes == []
        w.sum().backward()
    assert len(passes) == 1


COMPILED = """
    import sys, torch
    from gradpath.flow.backward import listen, leave
    assert "torch._dynamo" not in sys.modules
    passes = []
    def keep(told):
        passes.append(told.accumulates)
    LISTEN
    w, model = torch.ones(3, requires_grad=True), torch.nn.Linear(3, 1)
    @torch.compile(backend="eager")
    def step(x):
        y = (w * x).sum()
        y.backward()
        return y * 2
    step(torch.ones(3))
    torch.compile(model, backend="aot_eager")(torch.ones(2, 3)).sum().backward()
    from torch._dynamo.utils import counters
    print(passes, dict(counters["frames"]), len(counters["graph_break"]))
"""


def test_what_is_compiled_stays_the_same() -> None:
    """Dynamo compiles as many frames with a listener as without, and the passes of compiled code are told of."""
    programs = [textwrap.dedent(COMPILED).replace("LISTEN", begin) for begin in ("", "listen(keep)")]
    runs = [
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300) for program in programs
    ]
    assert [run.returncode for run in runs] == [0, 0], runs[-1].stderr
    without, beside = (run.stdout.strip() for run in runs)
    assert beside == without.replace("[]", "[True, True]")


def test_nothing_is_kept(way: str) -> None:
    class Held:
        pass

    held = Held()
    gone = weakref.ref(held)
    seen: list[int] = []
    w = weight()
    listen(told := lambda p: seen.append(len(p.roots)))
    loss = w.square().sum()
    loss.grad_fn.metadata["held"] = held  # type: ignore[union-attr]
    loss.backward()
    del held, loss
    gc.disable()
    try:
        assert gone() is None
    finally:
        gc.enable()
        leave(told)
    assert seen == [1]


def test_torch_is_wrapped_once_and_restored_when_the_last_one_leaves(way: str) -> None:
    def one(_: Pass) -> None:
        pass

    def two(_: Pass) -> None:
        pass

    before = [getattr(module, name) for module, name in PLACES]
    listen(one)
    wrapped = [getattr(module, name) for module, name in PLACES]
    assert wrapped != before
    listen(two)
    leave(one)
    leave(one)
    assert [getattr(module, name) for module, name in PLACES] == wrapped
    leave(two)
    leave(two)
    assert [getattr(module, name) for module, name in PLACES] == before


def test_another_tool_that_wraps_torch_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the order in which both leave, theirs works and ours is told once."""
    theirs: list[int] = []
    original = getattr(torch.autograd, ENGINE)
    with monkeypatch.context() as patch, warnings.catch_warnings():
        passes: list[Pass] = []
        listen(passes.append)
        ours = getattr(torch.autograd, ENGINE)

        def other(*args: Any, **kwargs: Any) -> Any:
            theirs.append(1)
            return ours(*args, **kwargs)

        patch.setattr(torch.autograd, ENGINE, other)
        weight().sum().backward()
        leave(passes.append)
        assert getattr(torch.autograd, ENGINE) is other
        weight().sum().backward()
        listen(passes.append)
        weight().sum().backward()
        leave(passes.append)
        assert (len(theirs), len(passes)) == (3, 2)
    setattr(torch.autograd, ENGINE, original)
    assert getattr(torch.autograd.graph, ENGINE) is original


def test_a_tracer_that_replaces_the_function_for_a_while() -> None:
    """`make_fx` without strictness replaces it in both places, and puts back what it found in one."""
    from torch.compiler import _patch_engine_backward

    before = getattr(torch.autograd, ENGINE)
    with listening() as passes:
        with _patch_engine_backward():
            pass
        weight().sum().backward()
    assert len(passes) == 1
    assert getattr(torch.autograd, ENGINE) is getattr(torch.autograd.graph, ENGINE) is before


def test_without_the_private_function_it_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backward, "ENGINE", "no_such_function")
    monkeypatch.setattr(backward, "_said", set())
    with warnings.catch_warnings(record=True, action="always") as said:
        for _ in range(2):
            with listening() as passes:
                weight().sum().backward()
                torch.autograd.grad(weight().square().sum(), [w := weight()], allow_unused=True)
            assert [p.accumulates for p in passes] == [True, False]
            assert passes[1].inputs == (w,)
    assert len(said) == 1
    assert "has no no_such_function" in str(said[0].message)


def test_arguments_that_nobody_knows_are_said_once_and_the_pass_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A later torch may hand the private function other arguments."""
    monkeypatch.setattr(backward, "_said", set())
    original = getattr(torch.autograd, ENGINE)
    passes: list[Pass] = []
    mine = passes.append

    def later(*args: Any, invented: int = 0, **kwargs: Any) -> Any:
        return original(*args, **kwargs)

    for module in (torch.autograd, torch.autograd.graph):
        monkeypatch.setattr(module, ENGINE, later)
    w = weight()
    listen(mine)
    with warnings.catch_warnings(record=True, action="always") as said:
        for _ in range(2):
            getattr(torch.autograd, ENGINE)(
                (w.sum(),), (torch.ones(()),), False, False, (), allow_unreachable=True, accumulate_grad=True, invented=1
            )
    leave(mine)
    assert getattr(torch.autograd, ENGINE) is later
    assert (passes, len(said)) == ([], 1)
    assert "could not be read" in str(said[0].message)
    assert torch.equal(w.grad, torch.full((2,), 2.0))
