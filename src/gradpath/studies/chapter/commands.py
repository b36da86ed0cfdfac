"""Checks the claims that a command shows instead of a study, for the table of contents.

Each command's own functions are called, with the arguments that the command gives them.
"""

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gradpath.byhand.given import read
from gradpath.flow import record
from gradpath.studies import trainings
from gradpath.studies.backpropagation import mlp, one_neuron, two_neurons
from gradpath.studies.chapter.entries import CHAPTER
from gradpath.studies.papers.networks import built

# The rounding error allowed after a few sums in float64.
EXACT = 1e-12
# The relative rounding error allowed in float32, in which TensorBoard keeps its curves.
SINGLE = 1e-6
PARAMETERS = 101_770


def verdicts() -> dict[str, str]:
    """Name of each entry without a study -> whether the chapter is right, with the number that shows it."""
    count = sum(parameter.numel() for parameter in built(0, "data=mnist", "model=two_layer").network.parameters())
    chain, two_layer, network = (
        read(None, CHAPTER[f"by_hand_{name}"].typed.split()[2:]) for name in ("chain", "two_layer", "mlp")
    )
    lines, autograd, _ = one_neuron(chain.given, chain.activation)
    off = max(abs(line.value - autograd[line.name]) for line in lines.lines)
    factors, autograd, _ = two_neurons(two_layer.given, two_layer.activation, two_layer.loss)
    product = factors.lines[-1]
    found, _ = mlp(network.overrides)
    return {
        "parameters": _said(count == PARAMETERS, f"{count:,}"),
        "by_hand_chain": _said(off < EXACT, f"{len(lines.lines)} lines, each within {EXACT:g} of autograd's"),
        "by_hand_two_layer": _said(
            abs(product.value - autograd["dL/dw11"]) < EXACT, f"`{product.formula}` is autograd's gradient within {EXACT:g}"
        ),
        "by_hand_mlp": _said(
            max(found.computed.values()) == 1 and found.largest < EXACT,
            f"{found.entries:,} numbers, each computed once; path by path it would be {found.paths:,} paths",
        ),
        "gradient_norms": _logged(CHAPTER["gradient_norms"].typed.split()[2:]),
    }


def _logged(overrides: list[str]) -> str:
    """Trains a run, and compares the gradient norms in its TensorBoard event file with the matrix that the tab shows."""
    trainings.train_all("gradient_norms", {"run": [*overrides, "trainer=cpu"]})
    folder = trainings.STUDIES / "gradient_norms/run"
    board = EventAccumulator(str(folder))
    board.Reload()
    matrix = record.load(folder)
    norms = dict(zip(matrix["layer"].tolist(), matrix["weight_grad_norm"].T, strict=True))
    curves = {layer: board.Scalars(f"weight_grad_norm/{layer}") for layer in norms}
    at = matrix["step"].tolist()
    off = [abs(event.value / norms[layer][at.index(event.step)] - 1) for layer, curve in curves.items() for event in curve]
    first = next(iter(curves.values()))
    return _said(
        max(off) < SINGLE,
        f"the norms of {len(curves)} layers, as curves at {len(first)} steps, and in the tab at all {len(at)}",
    )


def _said(right: bool, number: str) -> str:
    return f"{'right' if right else 'not borne out'}: {number}"
