"""Networks for studies of step 0: described by overrides, built and measured as a run builds and measures them."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

import torch

from gradpath.config.composition import compose
from gradpath.data.batch import Batch
from gradpath.flow.profile import LayerFlow, measure
from gradpath.model.network import MLP
from gradpath.run.build import build_run
from gradpath.run.inspection import SAMPLE
from gradpath.run.seeding import seed_everything
from gradpath.run.terminal import end_count, show_count

Case = TypeVar("Case")
Found = TypeVar("Found")


def deep(activation: str, init: str, norm: str, depth: int, width: int) -> dict[str, str]:
    """Overrides for a network with `depth` hidden layers of `width` units."""
    shape = {"model": "deep", "model.depth": str(depth), "model.width": str(width)}
    return {"activation": activation, "init": init, "norm": norm, **shape}


def drawn(case: Mapping[str, str], seed: int, dtype: torch.dtype) -> tuple[MLP, list[LayerFlow], Batch]:
    """The network of `case` drawn with `seed`, in `dtype`; its profile; and the training samples that were measured."""
    seed_everything(seed)
    data, network, objective, _ = build_run(*_composed(tuple(case.items())))
    batch = data.sample(SAMPLE)
    batch = Batch(batch.inputs.to(dtype), batch.targets)
    network = network.to(dtype)
    return network, measure(network, objective, batch), batch


def each(cases: Sequence[Case], judge: Callable[[Case], Found]) -> list[Found]:
    """Applies `judge` to every case, and counts the cases."""
    found = []
    for index, case in enumerate(cases, 1):
        found.append(judge(case))
        show_count(index, len(cases))
    end_count()
    return found


@cache
def _composed(case: tuple[tuple[str, str], ...]) -> tuple[dict[str, Any], dict[str, str]]:
    return compose(*(f"{key}={value}" for key, value in case))
