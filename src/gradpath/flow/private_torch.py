"""All that is used of torch's private parts, but for the engine that `backward.py` wraps.

A later torch may lack any of it. Each function then gives the answer that costs least: something is not told apart or not
measured. None raises, because they run inside the user's own calls.
"""

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

CONVOLUTIONS: Any = getattr(nn.modules.conv, "_ConvNd", None) or (
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d),
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
)
BATCH_NORMS: Any = getattr(nn.modules.batchnorm, "_NormBase", None) or nn.BatchNorm2d
# What Dynamo, where a compiled function calls `backward()`, would compile our functions with. `torch.compiler.disable` loads
# Dynamo, which takes a second.
_frames: Any = getattr(getattr(torch._C, "_dynamo", None), "eval_frame", None)
compile_with: Callable[[Any], Any] = getattr(_frames, "set_eval_frame", lambda _: None)


def is_no_training() -> bool:
    """Whether what runs now is a transform of functions, a trace, a compilation or a capture."""
    return (
        bool(_asked("_are_functorch_transforms_active", otherwise=False))
        or torch.compiler.is_compiling()
        or _asked("_get_tracing_state", otherwise=None) is not None
        or any(_asked("_get_dispatch_mode", mode, otherwise=None) is not None for mode in _MODES)
        or _is_capturing()
    )


def is_batched(tensor: Tensor) -> bool:
    """Whether a tensor stands for many under vmap."""
    functorch = getattr(torch._C, "_functorch", None)
    names = ("is_batchedtensor", "is_legacy_batchedtensor")
    return any(getattr(functorch, name)(tensor) for name in names if hasattr(functorch, name))


def is_in_a_pass() -> bool:
    """Whether this thread runs a node of a backward pass."""
    return bool(_asked("_current_graph_task_id", otherwise=-1) != -1)


def node_that_runs() -> Any:
    """The node of autograd's graph that this thread runs; None if there is none."""
    return _asked("_current_autograd_node", otherwise=None)


def shapes_of_outputs(node: Any) -> list[tuple[int, ...]]:
    """The shapes of the tensors that a node made; empty where it does not tell."""
    try:
        return [tuple(one.shape) for one in node._input_metadata]
    except Exception:
        return []


def version_of(tensor: Tensor) -> int:
    """How often a tensor has been changed in place."""
    try:
        return tensor._version
    except Exception:
        return 0


def norms(tensors: list[Tensor], dtype: torch.dtype) -> list[Tensor]:
    """The norm of each tensor, in one call on a device."""
    if hasattr(torch, "_foreach_norm"):
        return list(torch._foreach_norm(tensors, 2, dtype))
    return [torch.linalg.vector_norm(tensor, dtype=dtype) for tensor in tensors]


def inner(module: nn.Module) -> nn.Module | None:
    """The module inside `torch.compile`'s wrapper; None if it is none."""
    found = getattr(module, "_orig_mod", None)
    return found if isinstance(found, nn.Module) else None


def compiles_itself(module: nn.Module) -> bool:
    """Whether `module.compile()` has been called."""
    return getattr(module, "_compiled_call_impl", None) is not None


def frames_compiled() -> int:
    """How many frames Dynamo has compiled in this process."""
    counters = getattr(sys.modules.get("torch._dynamo.utils"), "counters", {})
    return sum(counters["frames"].values()) if "frames" in counters else 0


def stance_now() -> Any:
    """What `torch.compiler.set_stance` was last called with, in torch's form; None if it does not tell."""
    return getattr(sys.modules.get("torch._dynamo.eval_frame"), "_stance", None)


def compile_never(function: Callable[..., Any]) -> None:
    """Dynamo is to leave a function alone, but not what it calls."""
    with suppress(Exception):
        skip, default = _frames._FrameAction.SKIP, _frames._FrameAction.DEFAULT
        code = getattr(function, "__code__")  # noqa: B009
        _frames.set_code_exec_strategy(code, _frames._FrameExecStrategy(skip, default))


def remove_forward_hook(handle: RemovableHandle) -> None:
    """Removes a hook on forward calls, and a mark that torch leaves of it.

    By that mark every call of a module is slower, and compiled ones warn.
    """
    handle.remove()
    getattr(torch.nn.modules.module, "_global_forward_hooks_with_kwargs", {}).pop(handle.id, None)


def remove_accumulation_hook(parameter: Tensor, handle: RemovableHandle) -> None:
    """Removes a hook on a parameter's gradients, and the empty table of hooks that torch leaves of it."""
    handle.remove()
    name = "_post_accumulate_grad_hooks"
    with suppress(Exception):
        if getattr(parameter, name) is not None and not getattr(parameter, name):
            setattr(parameter, name, None)


def _asked(name: str, *arguments: Any, otherwise: Any) -> Any:
    """What a private function says; `otherwise` if torch has none of this name, or one that is called in another way."""
    try:
        return getattr(torch._C, name)(*arguments)
    except Exception:
        return otherwise


def _is_capturing() -> bool:
    """Whether a CUDA graph is captured. Both questions are public."""
    return torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing()  # type: ignore[no-untyped-call]


_keys = getattr(torch._C, "_TorchDispatchModeKey", None)
# Fake tensors, and what traces with them.
_MODES = [getattr(_keys, name) for name in ("FAKE", "PROXY", "FUNCTIONAL") if hasattr(_keys, name)]
