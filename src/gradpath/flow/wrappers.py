"""What may be wrapped around a model: `torch.compile`, and DistributedDataParallel, whose processes share the batches."""

import sys

from torch import nn
from torch.nn.parallel import DistributedDataParallel


def unwrapped(model: nn.Module) -> nn.Module:
    """The module inside `torch.compile`'s and DistributedDataParallel's wrappers."""
    while True:
        inner = model.module if isinstance(model, DistributedDataParallel) else getattr(model, "_orig_mod", None)
        if not isinstance(inner, nn.Module):
            return model
        model = inner


def is_compiled(model: nn.Module) -> bool:
    """Whether the model is compiled: by a wrapper around it, or by `module.compile()`."""
    return unwrapped(model) is not model or any(module._compiled_call_impl is not None for module in model.modules())


def has_compiled_parts(model: nn.Module) -> bool:
    """Whether torch.compile is at work on the model or on a part of it."""
    return any(module._compiled_call_impl is not None or hasattr(module, "_orig_mod") for module in model.modules())


def anything_compiled() -> bool:
    """Whether Dynamo has compiled anything in this process; that may be the code that calls the model."""
    dynamo = sys.modules.get("torch._dynamo.utils")
    return bool(dynamo and sum(dynamo.counters["frames"].values()))


def is_distributed(model: nn.Module) -> bool:
    """Whether the model is a DistributedDataParallel, itself or inside `torch.compile`'s wrapper."""
    return isinstance(getattr(model, "_orig_mod", model), DistributedDataParallel)
