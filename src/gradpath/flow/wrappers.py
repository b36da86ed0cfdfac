"""What may be wrapped around a model: `torch.compile`, and DistributedDataParallel."""

from torch import nn
from torch.nn.parallel import DistributedDataParallel

from gradpath.flow.private_torch import compiles_itself, frames_compiled, inner


def unwrapped(model: nn.Module) -> nn.Module:
    """The module inside `torch.compile`'s and DistributedDataParallel's wrappers."""
    while True:
        below = model.module if isinstance(model, DistributedDataParallel) else inner(model)
        if not isinstance(below, nn.Module):
            return model
        model = below


def is_compiled(model: nn.Module) -> bool:
    """Whether torch.compile is at work on the model or on a part of it: a wrapper, or `module.compile()`."""
    return any(compiles_itself(module) or inner(module) is not None for module in model.modules())


def anything_compiled() -> bool:
    """Whether Dynamo has compiled anything in this process; that may be the code that calls the model."""
    return frames_compiled() > 0
