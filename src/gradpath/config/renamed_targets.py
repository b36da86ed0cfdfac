"""Where modules that option files name have gone, so that a user's file and a saved run go on to mean the same."""

from typing import Any

MOVED = {
    "gradpath.initialization.": "gradpath.model.initialization.",
    "gradpath.optimizer.": "gradpath.model.optimizers.",
    "gradpath.schedule.": "gradpath.model.schedules.",
}


def current(name: str) -> str:
    """Today's name of a target."""
    old = next((prefix for prefix in MOVED if name.startswith(prefix)), None)
    return name if old is None else MOVED[old] + name.removeprefix(old)


def with_current_targets(node: Any) -> Any:
    """A saved configuration, every `_target_` in it by today's name."""
    if not isinstance(node, dict):
        return node
    return {k: current(v) if k == "_target_" and isinstance(v, str) else with_current_targets(v) for k, v in node.items()}
