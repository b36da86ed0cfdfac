"""What a single run finds out before it writes anything, for the jobs of a sweep: each part once, not once for each job."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gradpath.config.checks import is_ours

Config = Mapping[str, Any]
# A job's configuration, and the option of every group.
Asked = tuple[Config, Mapping[str, str]]
# Data sets are built for so many seconds, and one more. The jobs of those beyond find their own mistakes.
PATIENCE = 2.0


def asks(config: Config) -> bool:
    """Whether a job has parts that no name tells all of, though they are ours: devices, or shares of the data."""
    trainer = config["trainer"]
    return trainer["devices"] not in (1, "auto") or trainer["accelerator"] not in ("auto", "cpu") or _shares(trainer)


def _shares(trainer: Config) -> bool:
    limits = [trainer[f"limit_{stage}_batches"] for stage in ("train", "val", "test")]
    return any(isinstance(limit, float) and limit < 1 for limit in limits)


def _needs_data(config: Config) -> bool:
    ours = all(is_ours(group, config[group]) for group in ("data", "loss", "schedule"))
    return not ours or _shares(config["trainer"])


def try_parts(jobs: Sequence[Asked], here: bool) -> None:
    """Builds what the jobs consist of, but no network. Imports torch.

    Args:
        here: whether the jobs run on this machine, so that its devices and its files are theirs.

    Raises:
        ConfigError: for the first mistake.
    """
    from gradpath.run.build import build_data, build_loss, build_optimizer, build_schedule, planned_steps, try_trainer

    known: set[str] = set()

    def once(function: Callable[..., Any], *arguments: Any) -> None:
        key = f"{function.__name__} {arguments}"
        if key not in known:
            known.add(key)
            function(*arguments)

    for config, _ in jobs:
        trainer = config["trainer"]
        once(build_optimizer, config["optimizer"], trainer["precision"], trainer["gradient_clip_val"] is not None)
        if here:
            once(try_trainer, trainer)
    by_data: dict[str, list[Asked]] = {}
    for job in jobs:
        if here and _needs_data(job[0]):
            by_data.setdefault(repr({**job[0]["data"], "epochs": None}), []).append(job)
    begun = time.monotonic()
    for alike in by_data.values():
        if time.monotonic() - begun > PATIENCE:
            break
        data = build_data(alike[0][0]["data"], alike[0][0]["seed"])
        seen: set[str] = set()
        for config, choices in alike:
            parts = (config["loss"], config["model"]["output"], config["schedule"], config["trainer"])
            if repr(parts) not in seen:
                seen.add(repr(parts))
                steps = planned_steps(config["trainer"], data)
                build_loss(config["loss"], data, config["model"]["output"], choices.get("loss", ""))
                build_schedule(config["schedule"], steps)
