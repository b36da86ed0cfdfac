"""Which loss fits which task. Nothing here imports torch."""

from collections.abc import Sequence

from gradpath.errors import ConfigError, alternatives

# The loss that belongs to a task, by its name in torch.nn; and what a loss applies to the outputs itself.
LOSSES = {"regression": "MSELoss", "binary": "BCEWithLogitsLoss", "multiclass": "CrossEntropyLoss"}
INSIDE = {"CrossEntropyLoss": "softmax", "BCEWithLogitsLoss": "sigmoid"}


def check_loss(task: str, tasks: Sequence[str] | None, named: str) -> None:
    """Raises ConfigError if a loss is not defined for a task.

    Args:
        tasks: that the loss is defined for; None for every task.
        named: what the loss is called in the message.
    """
    if tasks is not None and task not in tasks:
        raise ConfigError(
            f"loss={named}: for {alternatives(tasks)} data, but this data is {task}; use loss=auto ({LOSSES[task]})."
        )


def check_output(outputs: int | None, loss: str, output: str) -> None:
    """Raises ConfigError if `output` is softmax of one value, or is applied a second time by a loss.

    Args:
        outputs: of the network, for each sample; None if that is not known yet.
        loss: its name in torch.nn; empty for one of a user's own.
        output: what the network applies to its last layer ("none", "sigmoid", "softmax").
    """
    if output == "softmax" and outputs == 1:
        raise ConfigError("model.output=softmax: of one output it is always 1; use model.output=none.")
    inside = INSIDE.get(loss)
    if output != "none" and output == inside:
        raise ConfigError(
            f"model.output={output}: {loss} applies the {inside} itself, twice flattens the gradient; use model.output=none."
        )
