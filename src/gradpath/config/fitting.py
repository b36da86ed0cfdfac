"""Whether the loss fits the data: of our own data sets that is known before they are read, and before torch is imported."""

from collections.abc import Mapping
from typing import Any

from gradpath.config.renamed_targets import current
from gradpath.task_losses import LOSSES, check_loss, check_output

# The task of our own data sets, by their target.
TASKS = {
    "gradpath.data.images.images": "multiclass",
    "gradpath.data.gaussian.gaussian": "multiclass",
    "gradpath.data.xor.xor": "binary",
    "gradpath.data.xor.xor_noisy": "binary",
    "gradpath.data.sine.sine": "regression",
}


def check_fit(config: Mapping[str, Any], choices: Mapping[str, str]) -> None:
    """Raises ConfigError if the loss does not fit the data, as far as their names tell. The run itself looks again.

    Args:
        config: checked, resolved, as plain dicts and lists.
        choices: the option of every group.
    """
    task = TASKS.get(current(str(config["data"]["_target_"])))
    if task is None:
        return
    loss, outputs = config["loss"], 1 if task != "multiclass" else None
    target = str(loss["_target_"]) if loss["_target_"] else f"torch.nn.{LOSSES[task]}"
    named = choices.get("loss") or target.rpartition(".")[2]
    check_loss(task, loss.get("tasks"), named)
    check_output(outputs, target.rpartition(".")[2] if target.startswith("torch.") else "", config["model"]["output"])
