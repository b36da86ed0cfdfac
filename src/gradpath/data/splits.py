"""Checks the training, validation and test samples of a data set before anything is trained on them."""

from typing import Any

import torch
from torch import Tensor

from gradpath.errors import ConfigError, alternatives, nearest

TASKS = ("regression", "binary", "multiclass")
# Normalised inputs have a root mean square of 1. What is so many times as large is a mistake, or makes everything as large.
ABSURD = 1e4


def check_task(task: str, outputs: int) -> None:
    """Raises ConfigError if there is no such task, or if it does not have so many outputs."""
    if task not in TASKS:
        raise ConfigError(f"data: the task is {task}, must be {alternatives(TASKS)}.{nearest(task, TASKS)}")
    if outputs < 1 or (task == "binary" and outputs != 1):
        raise ConfigError(f"data: outputs={outputs}, must be {'1 for a binary task' if task == 'binary' else 'at least 1'}.")


def check_split(name: str, inputs: Any, targets: Any, task: str, outputs: int) -> None:
    """Checks one split.

    Args:
        name: "training", "validation" or "test".
        inputs: (samples, ...).
        targets: (samples,) class indices, or (samples, outputs) or (samples,) numbers of a regression.

    Raises:
        ConfigError: the first fault: no tensors, no samples, different lengths, another shape, NaN or infinity with its
            place, or labels that are no class indices.
    """
    for kind, tensor in (("inputs", inputs), ("targets", targets)):
        if not isinstance(tensor, Tensor) or tensor.is_complex():
            given = f"{tensor.dtype} numbers" if isinstance(tensor, Tensor) else f"a {type(tensor).__name__}"
            raise ConfigError(f"data: the {name} {kind} are {given}, must be a tensor of real numbers.")
    if len(inputs) == 0:
        raise ConfigError(f"data: the {name} set is empty.")
    if len(inputs) != len(targets):
        raise ConfigError(f"data: the {name} set has {len(inputs)} inputs and {len(targets)} targets.")
    _check_shape(name, inputs, targets, task, outputs)
    _check_finite(f"{name} inputs", inputs)
    _check_finite(f"{name} targets", targets)
    if task != "regression":
        _check_labels(name, targets, max(outputs, 2), whole=task == "multiclass")


def _check_shape(name: str, inputs: Tensor, targets: Tensor, task: str, outputs: int) -> None:
    if inputs.ndim < 2 or inputs[0].numel() == 0:
        raise ConfigError(f"data: the {name} inputs have the shape {_shape(inputs)}, must be (samples, features).")
    each = targets[0].numel()
    if task == "regression" and targets.dtype == torch.bool:
        raise ConfigError(f"data: the {name} targets are true or false, must be numbers: targets.float().")
    if task == "regression" and each != outputs:
        raise ConfigError(f"data: the {name} targets have {each} values per sample, but outputs={outputs}.")
    if task != "regression" and targets.ndim != 1:
        raise ConfigError(
            f"data: the {name} labels have the shape {_shape(targets)}, must be (samples,): one class index each."
        )


def _check_finite(what: str, values: Tensor) -> None:
    """Looks for NaN and infinities. Bytes and whole numbers have none."""
    if not values.is_floating_point() or bool(torch.isfinite(values).all()):
        return
    position = torch.nonzero(~torch.isfinite(values))[0].tolist()
    value = values[tuple(position)].item()
    count = int((~torch.isfinite(values)).sum())
    first = f"the first is {value} in {_place(position)} (from 0)"
    raise ConfigError(f"data: the {what} have {count} values that are NaN or infinite; {first}.")


def absurdly_large(what: str, values: Tensor, shift: float = 0.0, spread: float = 1.0) -> str | None:
    """A sentence about the largest value of a split, if it is absurd.

    Args:
        what: such as "training inputs". shift, spread: what normalises them.
    """
    if not values.is_floating_point() or not len(values):
        return None
    low, high = torch.aminmax(values)
    value = low if abs(low - shift) > abs(high - shift) else high
    if not abs(value.item() - shift) > ABSURD * spread:
        return None
    count = int(((values - shift).abs() > ABSURD * spread).sum())
    others = f", and {count - 1:,} more are as large" if count > 1 else ""
    return (
        f"the {what} have {value.item():.3g} in {_place(torch.nonzero(values == value)[0].tolist())} (from 0){others}: over "
        f"{ABSURD:,.0f} times what normalised data have"
    )


def _place(position: list[int]) -> str:
    row, *column = position
    return f"row {row}" + (f", column {', '.join(map(str, column))}" if column else "")


def _check_labels(name: str, labels: Tensor, classes: int, whole: bool) -> None:
    if labels.is_floating_point() and (whole or bool((labels != labels.round()).any())):
        odd = labels[labels != labels.round()][:1].tolist()
        shown = f"such as {odd[0]:g}" if odd else f"in {str(labels.dtype).removeprefix('torch.')}"
        raise ConfigError(f"data: the {name} labels are numbers {shown}, must be class indices: targets.long().")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise ConfigError(f"data: the {name} labels run from {low} to {high}, must be 0 to {classes - 1}.")


def _shape(tensor: Tensor) -> str:
    return str(tuple(tensor.shape)).replace(" ", "")
