"""Prints backpropagation by hand within 80 columns."""

from collections.abc import Mapping, Sequence
from textwrap import wrap

from gradpath.byhand.beside_autograd import Comparison, Row
from gradpath.byhand.derivatives import Activation
from gradpath.byhand.worksheet import Worksheet

WIDTH = 80


def worksheet(sheet: Worksheet, expected: Mapping[str, float], activation: Activation) -> list[str]:
    """Writes each line as name = formula = the numbers put in, and below it the value beside autograd's."""
    given = "  ".join(f"{name}={value:g}" for name, value in sheet.given.items())
    lines = ["given", *(f"  {part}" for part in wrap(given, WIDTH - 2))]
    lines += _defined(activation)
    lines += ["", "forward"]
    start = next(line.name for line in sheet.lines if line.name.startswith("dL/"))
    for line in sheet.lines:
        if line.name == start:
            lines += ["", "backward"]
        theirs = expected[line.name] + 0.0  # -0 becomes 0
        lines += _wrapped(f"{line.name} = {line.formula} = {line.numbers}")
        lines.append(f"    = {line.value:<15.8g} autograd {theirs:<15.8g} difference {abs(line.value - theirs):.1g}")
    largest = max(abs(line.value - expected[line.name]) for line in sheet.lines)
    return [*lines, "", f"{len(sheet.lines)} lines, each computed once; largest difference {largest:.1g}"]


def network(found: Comparison, step: float) -> list[str]:
    """Lists every intermediate and parameter of a network with its norm by hand and by autograd.

    Args:
        step: the largest difference of a parameter after one step of the optimiser.
    """
    ours, theirs = found.losses
    lines = [line for activation in found.activations for line in _defined(activation)]
    lines += [
        *([""] if lines else []),
        f"{'forward':<34}{'|by hand|':>13}{'|autograd|':>13}{'difference':>12}",
        *_rows(found.values),
    ]
    lines.append(f"  {'L':<32}{ours:>13.6g}{theirs:>13.6g}{abs(ours - theirs):>12.1g}")
    lines.append(f"    = {found.loss}")
    lines += ["", "backward, in this order; B: samples, N: outputs of all samples", *_rows(found.gradients)]
    lines += ["", "dL/dparameter", *_rows(found.parameters)]
    most = max(found.computed.values())
    times = "once" if most == 1 else f"{most} times at most"
    lines += [
        "",
        f"backpropagation computed {found.entries:,} numbers on its way to the inputs, each {times};",
        f"expanding the chain rule path by path would walk {_large(found.paths)} paths to the loss.",
        f"largest difference {found.largest:.1g}; after one step of the optimiser {step:.1g}",
    ]
    return lines


def _defined(activation: Activation) -> list[str]:
    return [f"  {activation.name}(h)  = {activation.formula}", f"  {activation.name}'(h) = {activation.slope_formula}"]


def _rows(rows: Sequence[Row]) -> list[str]:
    lines = []
    for row in rows:
        shape = "x".join(map(str, row.shape))
        title = f"{row.name} ({shape})"
        lines.append(f"  {title:<32}{row.hand:>13.6g}{row.autograd:>13.6g}{row.difference:>12.1g}")
        lines += wrap(f"= {row.formula}", WIDTH, initial_indent="    ", subsequent_indent="      ")
    return lines


def _wrapped(text: str) -> list[str]:
    return wrap(text, WIDTH, initial_indent="  ", subsequent_indent="    ", break_long_words=False)


def _large(count: int) -> str:
    return f"{count:,}" if count < 10**9 else f"{float(count):.2g}" if count < 10**300 else f"10^{len(str(count)) - 1}"
