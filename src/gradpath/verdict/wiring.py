"""How a loop is wired: gradients that nobody clears, parts that are cut off or that nobody moves, an activation twice."""

from collections.abc import Collection, Sequence

import numpy as np

from gradpath.flow.loop import Loop
from gradpath.flow.record import Record
from gradpath.verdict.findings import Finding
from gradpath.verdict.remedies import Remedy

# A loop is known from this many steps on.
ENOUGH = 3
# At most so many layers are named.
NAMED = 3
NOWHERE = "no gradient came back to any layer: the loss is cut from the network"


def findings_on_wiring(
    record: Record, loop: Loop, trained: Collection[str], held: Collection[str], cut: Sequence[str]
) -> list[Finding]:
    """What is wrong with the loop itself, whatever the network.

    Args:
        trained: layers that are to be trained. held: those of them of which an optimiser moves a parameter. cut: those that
            were called, and that no gradient came back to, if they are many.
    """
    found = [_strange(loop) if trained and not record.steps else None, _twice(loop), _kept(loop), _cut_off(cut, trained)]
    if record.steps:
        found += [_nothing_left(record), _unmoved(record, trained, held)]
    return [finding for finding in found if finding]


def _twice(loop: Loop) -> Finding | None:
    if loop.doubled is None:
        return None
    message = f"the loss takes a {loop.doubled} of what is a {loop.doubled} already: differences between outputs are lost"
    remedy = Remedy("", f"no {loop.doubled} at the network's end, or a loss that takes probabilities")
    return Finding("double_activation", "loss", None, message, remedy)


def _kept(loop: Loop) -> Finding | None:
    """A loop that clears gradients in some steps accumulates them on purpose."""
    steps = loop.leftovers.most()
    if steps < ENOUGH:
        return None
    message = f"in all of {steps} steps the gradients of the step before were still there, and were added to"
    return Finding(
        "accumulated_gradients", "zero_grad", None, message, Remedy("", "optimizer.zero_grad() before backward()")
    )


def _strange(loop: Loop) -> Finding | None:
    """The model's optimiser was given the parameters of something else: of a copy, or of the model before it was changed."""
    if loop.held or not loop.strangers:
        return None
    message = "the optimiser holds none of the model's parameters"
    return Finding(
        "no_update", "optimizer", None, message, Remedy("", "an optimizer that is given this model's parameters()")
    )


def _cut_off(cut: Sequence[str], trained: Collection[str]) -> Finding | None:
    if not cut:
        return None
    if len(cut) == len(trained):
        remedy = Remedy("", "no item(), detach(), no_grad(), .data, numpy or argmax between the network and the loss")
        return Finding("no_gradient", "graph", cut[-1], NOWHERE, remedy)
    message = f"no gradient came back to {_listed(cut)}, though {'they were' if len(cut) > 1 else 'it was'} called"
    remedy = Remedy("", "no detach(), no_grad(), .data, numpy or argmax between these layers and the loss")
    return Finding("no_gradient", "graph", cut[0], message, remedy)


def _nothing_left(record: Record) -> Finding | None:
    """A loss that lets nothing through: behind the output is a ReLU that is shut, or something constant."""
    delta = record.matrix("delta")
    seen = delta[~np.isnan(delta)]
    if len(record.steps) < ENOUGH or not len(seen) or seen.any():
        return None
    message = f"the gradient is exactly 0 at every layer, in all of {len(record.steps)} measured steps"
    remedy = Remedy("", "no ReLU or rounding behind the output layer, and a loss that depends on it")
    return Finding("no_gradient", "loss", None, message, remedy)


def _unmoved(record: Record, trained: Collection[str], held: Collection[str]) -> Finding | None:
    gradient, update, weight = (record.matrix(name) for name in ("weight_grad_norm", "update_ratio", "weight_norm"))
    columns = [index for index, name in enumerate(record.layers) if name in trained and (gradient[:, index] > 0).any()]
    # Weights are not looked at in every step.
    if not columns or (~np.isnan(weight)).any(1).sum() < ENOUGH:
        return None
    moved = [index for index in columns if not np.isnan(update[:, index]).all()]
    # Where the gradient vanishes, a step is lost in rounding. That of the output layer is not.
    if moved and not (update[:, moved] > 0).any():
        message = "gradients arrive at all layers, and no step moves a weight"
        remedy = Remedy("", "zero_grad() before backward(), not between it and step(), and a learning rate above 0")
        return Finding("no_update", "optimizer", None, message, remedy)
    # Where biases alone are given to it, that is on purpose.
    unmoved = [record.layers[index] for index in columns if index not in moved and record.layers[index] not in held]
    if not unmoved:
        return None
    message = f"{_listed(unmoved)} {'get' if len(unmoved) > 1 else 'gets'} a gradient, and no optimiser moves the weights"
    remedy = Remedy(
        "", "an optimizer that is given model.parameters(), or requires_grad_(False) for what is not to be trained"
    )
    return Finding("no_update", "optimizer", unmoved[0], message, remedy)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
