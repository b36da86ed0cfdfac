"""New names of modules that have moved, so that a user's option file or a saved run with an old name still works."""

from typing import Any

MOVED = {
    "gradpath.initialization.": "gradpath.model.initialization.",
    "gradpath.optimizer.": "gradpath.model.optimizers.",
    "gradpath.schedule.": "gradpath.model.schedules.",
}


def current(name: str) -> str:
    """The current name of a target."""
    old = next((prefix for prefix in MOVED if name.startswith(prefix)), None)
    return name if old is None else MOVED[old] + name.removeprefix(old)


def with_current_targets(node: Any) -> Any:
    """A saved configuration with every `_target_` under its current name."""
    if not isinstance(node, dict):
        return node
    return {k: current(v) if k == "_target_" and isinstance(v, str) else with_current_targets(v) for k, v in node.items()}
