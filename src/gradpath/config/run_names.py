"""Names the folders of runs."""

import re
from collections.abc import Iterable
from datetime import datetime

from omegaconf import DictConfig

from gradpath.config.grammar import parse, values


def run_name(config: DictConfig, defaults: dict[str, str]) -> str:
    """Names a run by what was typed and differs from the default, and by its seed: `gelu-he_uniform-lr0.01-s0`.

    Args:
        config: the composed configuration with Hydra's part.
        defaults: the default option of every group.
    """
    # In a sweep the default is one value among others; its name is needed to tell the runs apart.
    sweep = "MULTIRUN" in str(config.hydra.mode)
    parts = []
    for override in parse(config.hydra.overrides.task):
        key, value = override.key_or_group, values(override)[0]
        if key in defaults:
            if sweep or value != defaults[key]:
                parts.append(value)
        elif key not in ("seed", "resume"):
            parts.append(key.rsplit(".", 1)[-1] + value)
    return _safe("-".join([*(parts or ["default"]), f"s{config.seed}"]))[:120]


def sweep_name(*, _root_: DictConfig) -> str:
    """Names a sweep as it was typed, or after the second in which it is begun."""
    return str(_root_.sweep.name or datetime.now().strftime("%Y-%m-%d_%H-%M-%S"))


def job_name(number: int, digits: int, varied: Iterable[str], longest: int = 30) -> str:
    """Names a job of a sweep by its number and what differs between the jobs: `07-gelu-lr0.01-s0`.

    Where that is too long, the longest words lose their last letters, and numbers stay whole.

    Args:
        digits: of the number, so that names sort in the order of the jobs.
        varied: `key=value` of each key that the sweep varies.
        longest: TensorBoard cuts longer names.
    """
    parts, seeds = [], []
    for text in varied:
        key, _, value = text.partition("=")
        name = key.rsplit(".", 1)[-1].lstrip("+")
        if name == "seed":
            seeds.append(f"s{value}")
        else:
            parts.append(name + value if "." in key else value)
    name = _safe("-".join([f"{number:0{digits}}", *parts, *seeds]))
    return _shortened(name, longest).rstrip("-.")


def _shortened(name: str, longest: int) -> str:
    # The start of a very long name is enough. Letters and what stands between them, in turn.
    name = name[: 10 * longest]
    words = re.split(r"([A-Za-z]+)", name)
    for _ in range(len(name) - longest):
        # Of words as long as each other, the last is the least telling.
        at = max(range(len(words)), key=lambda k: (words[k].isalpha() * len(words[k]), k))
        if len(words[at]) < 2 or not words[at].isalpha():
            break
        words[at] = words[at][:-1]
    return "".join(words)[:longest]


def _safe(name: str) -> str:
    """A folder's name: the commas of a list become x, other punctuation is removed."""
    return "".join(c for c in name.replace(",", "x") if c.isalnum() or c in "-_.")
